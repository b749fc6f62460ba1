/**
 * Traps of LiteRT's kernels: a small model for each, which `verify` has to name, with operator, tensor and way out, and its sound twin, which
 * has to pass. Where LiteRT refuses the model by itself, that is shown with the LiteRT inside.
 */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileLibrary, loadEngine } from "../../src/calibration/litert.ts";
import { verify } from "../../src/driver/quantize.ts";
import { type BuiltinOptions, type Model, serializeModel, type Tensor, writeModel } from "../../src/model/index.ts";
import { GraphBuilder, ModelBuilder, model, quantized, quantizedAs } from "../helpers/models.ts";

type Kind = Parameters<GraphBuilder["operator"]>[0];
type TypeName = Parameters<typeof quantizedAs>[0];

async function verified(made: Model) {
  const folder = mkdtempSync(join(tmpdir(), "minmaxq-traps-"));
  try {
    const path = join(folder, "m.tflite");
    await writeModel({ ...made, version: 3 }, path, { dialect: "tflite" });
    return await verify({ model: path });
  } catch (error) {
    // A float twin is sound, and verify has nothing to hold it to.
    if (!/has no quantized activations/.test(String(error))) throw error;
    return { problems: [], warnings: [] };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What LiteRT says of a model when it is loaded, or run on zeros; "" where it has nothing to say. */
async function refusalOf(made: Model): Promise<string> {
  const graph = made.subgraphs![0]!;
  const bytes = await serializeModel({ ...made, version: 3 }, { dialect: "tflite" });
  const names = [...graph.outputs!].map((index) => graph.tensors![index]!.name!);
  try {
    const engine = await loadEngine(bytes, names, await compileLibrary(false), false);
    const sizes = [...graph.inputs!].map((index) => graph.tensors![index]!);
    const zeros = sizes.map(({ shape, type }) => {
      const width = type === 7 ? 2 : type === 9 || type === 3 ? 1 : 4;
      return new Uint8Array(width * shape!.reduce((a, b) => a * b, 1));
    });
    try {
      await engine.run(zeros, () => {});
    } finally {
      engine.close();
    }
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

interface T {
  type: TypeName;
  scale?: number | number[];
  zero?: number | number[];
  axis?: number;
  shape?: number[];
  /** Bytes of a constant. */
  values?: ArrayBufferView;
  more?: Partial<Tensor>;
}

const list = <V>(value: V | V[]): V[] => (Array.isArray(value) ? value : [value]);

/** One operator: operands x0, x1 …; results y0 …; `null` is an absent operand. */
function one(op: Kind, operands: (T | null)[], results: T[], options?: BuiltinOptions, version = 1): Model {
  const add = (graph: GraphBuilder, name: string, { type, scale, zero = 0, axis, shape = [1, 4], values, more }: T) => {
    const scales = scale === undefined ? undefined : list(scale);
    const zeros = scales && (Array.isArray(zero) ? zero : scales.map(() => zero));
    const members = { ...(scales ? quantizedAs(type, scales, zeros!, axis) : quantizedAs(type, [], [])), ...more };
    if (!scales && !more?.quantization) delete members.quantization;
    if (values) graph.constant(name, shape, values as Int8Array, members);
    else graph.tensor(name, shape, type, members);
  };
  // int16 alone may be ONE's; int8 is LiteRT's only, and tells the family of the file.
  const beside = [...operands, ...results].some((each) => each?.type === "INT16") ? ["int8", "tells"] : [];
  const inputs = operands.flatMap((each, i) => (each && !each.values ? [`x${i}`] : []));
  const names = results.map((_, i) => `y${i}`);
  const made = model([...inputs, ...beside.slice(0, 1)], [...names, ...beside.slice(1)], (graph) => {
    operands.forEach((each, i) => {
      if (each) add(graph, `x${i}`, each);
    });
    results.forEach((each, i) => {
      add(graph, `y${i}`, each);
    });
    graph.operator(
      op,
      operands.map((each, i) => (each ? `x${i}` : "")),
      names,
      options,
    );
    for (const name of beside) graph.tensor(name, [1], "INT8", quantized(0.25, 0));
    if (beside.length > 0) graph.operator("ELU", ["int8"], ["tells"]);
  });
  made.operatorCodes![0]!.version = version;
  return made;
}

const i8 = (scale = 0.25, zero = 0, more: Partial<T> = {}): T => ({ type: "INT8", scale, zero, ...more });
const i16 = (scale = 0.3, zero = 0, more: Partial<T> = {}): T => ({ type: "INT16", scale, zero, ...more });
const f32 = (more: Partial<T> = {}): T => ({ type: "FLOAT32", ...more });
const X = [1, 4, 4, 2];
const image: Partial<T> = { shape: X };

const conv = (value: object = {}): BuiltinOptions => ({
  type: "Conv2DOptions",
  value: { padding: 0, strideW: 1, strideH: 1, dilationWFactor: 1, dilationHFactor: 1, ...value },
});
const depthwise = (): BuiltinOptions => ({
  type: "DepthwiseConv2DOptions",
  value: { padding: 0, strideW: 1, strideH: 1, depthMultiplier: 1 },
});
const dense = (value: object = {}): BuiltinOptions => ({ type: "FullyConnectedOptions", value });
const add = (value: object = {}): BuiltinOptions => ({ type: "AddOptions", value });

/** A filter of CONV_2D, [2, 1, 1, 2] and one scale for each channel. */
const filter = (type: TypeName = "INT8", more: Partial<T> = {}): T => ({
  type,
  scale: [0.5, 0.25],
  axis: 0,
  shape: [2, 1, 1, 2],
  values: type === "INT4" ? new Int8Array(2) : new Int8Array(4).fill(1),
  ...more,
});
const filterDw = (more: Partial<T> = {}): T => ({
  type: "INT8",
  scale: [0.5, 0.25],
  axis: 3,
  shape: [1, 1, 1, 2],
  values: new Int8Array(2).fill(1),
  ...more,
});
const bias = (type: "INT32" | "INT64", scale: number[], more: Partial<T> = {}): T => ({
  type,
  scale,
  axis: 0,
  shape: [scale.length],
  values: type === "INT32" ? new Int32Array(scale.length) : new BigInt64Array(scale.length),
  ...more,
});
const matrix = (type: TypeName, more: Partial<T> = {}): T => ({
  type,
  scale: 0.5,
  shape: [2, 4],
  values: type === "INT4" ? new Int8Array(4) : type === "INT2" ? new Int8Array(2) : new Int8Array(8).fill(1),
  ...more,
});
const POT_FALSE = { potScaleInt16: false };
const INT32_FIELD = { quantizedBiasType: 2 };

/** FULLY_CONNECTED with block-wise weights; `scales` are halves. */
function blocks(of: {
  type?: TypeName;
  rows?: number;
  columns?: number;
  size?: number;
  scales?: ArrayBufferView;
  scaleType?: TypeName;
  options?: BuiltinOptions;
  op?: Kind;
}): Model {
  const { type = "INT4", rows = 4, columns = 64, size = 32, options = dense(), op = "FULLY_CONNECTED" } = of;
  const count = rows * Math.ceil(columns / size);
  const builder = new ModelBuilder();
  const graph = new GraphBuilder(builder);
  const scales = of.scales ?? new Uint16Array(count).fill(0x3800);
  const bits = type === "INT4" ? 4 : 8;
  graph
    .tensor("x0", [1, columns])
    .constant(
      "s",
      [rows, Math.ceil(columns / size)],
      scales as Uint16Array,
      quantizedAs(of.scaleType ?? "FLOAT16", [], []),
    )
    .constant("x1", [rows, columns], new Int8Array((rows * columns * bits) / 8), {
      ...quantizedAs(type, [], []),
      quantization: {
        details: { type: "BlockwiseQuantization", value: { scales: 1, zeroPoints: -1, blockSize: size } },
      },
    })
    .tensor("y0", [1, rows]);
  delete graph.tensors[1]!.quantization;
  const dequantizes = op === "DEQUANTIZE";
  graph.operator(op, dequantizes ? ["x1"] : ["x0", "x1", ""], ["y0"], options);
  const made = builder.model(graph.graph(dequantizes ? [] : ["x0"], ["y0"]));
  if (dequantizes) graph.tensors[3]!.shape = Int32Array.of(rows, columns);
  return made;
}

interface Trap {
  what: string;
  bad: Model;
  /** What `verify` says: operator, tensor and remedy. */
  says: RegExp;
  good: Model;
  /** What LiteRT itself says; absent where it says nothing and computes nonsense. */
  refused?: RegExp;
}

const TRAPS: Trap[] = [
  {
    what: "1: a scale of 0",
    bad: one("SUB", [i8(0), i8()], [i8()]),
    says: /SUB "y0": "x0" has the scale 0, .*quantize/,
    good: one("SUB", [i8(), i8()], [i8()]),
  },
  {
    what: "1: a subnormal scale",
    bad: one("ABS", [i8(1e-40)], [i8()]),
    says: /ABS "y0": "x0" has the scale 9\.99\d*e-41, .*quantize/,
    good: one("ABS", [i8(2 ** -126)], [i8(2 ** -126)]),
  },
  {
    what: "1: an infinite scale",
    bad: one("ABS", [i8()], [i8(Number.POSITIVE_INFINITY)]),
    says: /ABS "y0": "y0" has the scale Infinity/,
    good: one("ABS", [i8()], [i8()]),
  },
  {
    what: "2: scales without zero points beside float activations",
    bad: one(
      "FULLY_CONNECTED",
      [f32(), matrix("INT8", { scale: undefined, more: { quantization: { scale: Float32Array.of(0.5) } } }), null],
      [f32({ shape: [1, 2] })],
      dense(),
    ),
    says: /FULLY_CONNECTED "y0": "x1" has 1 scales and 0 zero points/,
    good: one("FULLY_CONNECTED", [f32(), matrix("INT8"), null], [f32({ shape: [1, 2] })], dense(), 3),
  },
  {
    what: "2: as many scales as no axis has",
    bad: one("DEQUANTIZE", [{ ...matrix("INT8"), scale: [1, 2, 3], axis: 0 }], [f32({ shape: [2, 4] })]),
    says: /DEQUANTIZE "y0": "x0" has 3 scales along axis 0 of \[2, 4\]/,
    good: one("DEQUANTIZE", [{ ...matrix("INT8"), scale: [1, 2], axis: 0 }], [f32({ shape: [2, 4] })], undefined, 5),
  },
  {
    what: "2: an axis on an operand that has none",
    bad: one("ADD", [i8(), { ...i8(), scale: [1, 2, 3, 4], axis: 1 }], [i8(1)], add(), 2),
    says: /ADD "y0": wrong granularity: operand 1 "x1" must have one scale/,
    good: one("ADD", [i8(), i8()], [i8(1)], add(), 2),
  },
  {
    what: "3: a zero point of weights",
    bad: one("FULLY_CONNECTED", [i8(), matrix("INT8", { zero: 3 }), null], [i8(1, 0, { shape: [1, 2] })], dense(), 4),
    says: /FULLY_CONNECTED "y0": wrong zero point: weights "x1" must have 0/,
    good: one("FULLY_CONNECTED", [i8(), matrix("INT8"), null], [i8(1, 0, { shape: [1, 2] })], dense(), 4),
  },
  {
    what: "3: a zero point of weights beside float activations",
    bad: one("FULLY_CONNECTED", [f32(), matrix("INT8", { zero: 3 }), null], [f32({ shape: [1, 2] })], dense(), 3),
    says: /FULLY_CONNECTED "y0": its weights "x1" have the zero point 3.*quantize/,
    good: one("FULLY_CONNECTED", [f32(), matrix("INT8"), null], [f32({ shape: [1, 2] })], dense(), 3),
  },
  {
    what: "4: a zero point of int16",
    bad: one("SUB", [i16(0.3, 5), i16()], [i16()], { type: "SubOptions", value: POT_FALSE }, 5),
    says: /SUB "y0": "x0" is INT16 with the zero point 5.*quantize/,
    good: one("SUB", [i16(), i16()], [i16()], { type: "SubOptions", value: POT_FALSE }, 5),
    refused: /./,
  },
  {
    what: "5: a copy with other parameters",
    bad: one("RESHAPE", [i8(0.25)], [i8(0.5, 0, { shape: [4] })], {
      type: "ReshapeOptions",
      value: { newShape: Int32Array.of(4) },
    }),
    says: /RESHAPE "y0": its parameters must be those of "x0"/,
    good: one("RESHAPE", [i8(0.25)], [i8(0.25, 0, { shape: [4] })], {
      type: "ReshapeOptions",
      value: { newShape: Int32Array.of(4) },
    }),
  },
  {
    what: "6: a fixed result",
    bad: one("LOG_SOFTMAX", [i8()], [i8(1 / 16, 126)], undefined, 2),
    says: /LOG_SOFTMAX "y0": its parameters must be scale 0\.0625, zero point 127/,
    good: one("LOG_SOFTMAX", [i8()], [i8(1 / 16, 127)], undefined, 2),
    refused: /./,
  },
  {
    what: "7: no bias",
    bad: one("CONV_2D", [i8(0.25, 0, image), filter()], [i8(1, 0, image)], conv(), 3),
    says: /CONV_2D "y0": has no bias, .*"y0".*zero-bias/,
    good: one("CONV_2D", [i8(0.25, 0, image), filter(), bias("INT32", [0.125, 0.0625])], [i8(1, 0, image)], conv(), 3),
    refused: /has_bias|CONV_2D/,
  },
  {
    what: "7: an int32 bias that is read as int64",
    bad: one("CONV_2D", [i16(0.25, 0, image), filter(), bias("INT32", [0.125, 0.0625])], [i16(1, 0, image)], conv()),
    says: /CONV_2D "y0": its bias "x2" is INT32, which LiteRT reads as INT64.*INT64/,
    good: one(
      "CONV_2D",
      [i16(0.25, 0, image), filter(), bias("INT32", [0.125, 0.0625])],
      [i16(1, 0, image)],
      conv(INT32_FIELD),
      8,
    ),
  },
  {
    what: "7: an int64 bias that is read as int32",
    bad: one(
      "CONV_2D",
      [i16(0.25, 0, image), filter(), bias("INT64", [0.125, 0.0625])],
      [i16(1, 0, image)],
      conv(INT32_FIELD),
      8,
    ),
    says: /CONV_2D "y0": its quantized_bias_type says INT32, but its bias is INT64; leave/,
    good: one("CONV_2D", [i16(0.25, 0, image), filter(), bias("INT64", [0.125, 0.0625])], [i16(1, 0, image)], conv()),
  },
  {
    what: "7: an int32 bias where no option helps",
    bad: one(
      "DEPTHWISE_CONV_2D",
      [i16(0.25, 0, image), filterDw(), bias("INT32", [0.125, 0.0625])],
      [i16(1, 0, image)],
      depthwise(),
    ),
    says: /DEPTHWISE_CONV_2D "y0": its bias "x2" is INT32/,
    good: one(
      "DEPTHWISE_CONV_2D",
      [i16(0.25, 0, image), filterDw(), bias("INT64", [0.125, 0.0625])],
      [i16(1, 0, image)],
      depthwise(),
    ),
    refused: /./,
  },
  {
    what: "8: a bias scale that is off by little, among small ones",
    bad: one(
      "CONV_2D",
      [i8(2 ** -14, 0, image), filter("INT8", { scale: [2 ** -14, 2 ** -14] }), bias("INT32", [2 ** -28, 2 ** -27])],
      [i8(1, 0, image)],
      conv(),
      3,
    ),
    says: /CONV_2D "y0": scale 1 of its bias "x2" is .*input scale × weight scale/,
    good: one(
      "CONV_2D",
      [i8(2 ** -14, 0, image), filter("INT8", { scale: [2 ** -14, 2 ** -14] }), bias("INT32", [2 ** -28, 2 ** -28])],
      [i8(1, 0, image)],
      conv(),
      3,
    ),
  },
  {
    what: "8: a bias scale too far off for the kernel",
    bad: one(
      "FULLY_CONNECTED",
      [i8(), matrix("INT8"), bias("INT32", [0.2])],
      [i8(1, 0, { shape: [1, 2] })],
      dense(),
      4,
    ),
    says: /FULLY_CONNECTED "y0": wrong bias scale: bias "x2"/,
    good: one(
      "FULLY_CONNECTED",
      [i8(), matrix("INT8"), bias("INT32", [0.125], { shape: [2], values: new Int32Array(2) })],
      [i8(1, 0, { shape: [1, 2] })],
      dense(),
      4,
    ),
    refused: /./,
  },
  {
    what: "9: powers of two in a sum of int16",
    bad: one("ADD", [i16(0.25), i16(0.5)], [i16(1)], add()),
    says: /ADD "y0": its pot_scale_int16 is true .*"y0".*false/,
    good: one("ADD", [i16(0.25), i16(0.5)], [i16(1)], add(POT_FALSE), 3),
    refused: /./,
  },
  {
    what: "9: a sum with too fine a scale, int16",
    bad: one("ADD", [i16(0.7), i16(0.5)], [i16(4e-5)], add(POT_FALSE), 3),
    says: /ADD "y0": the scale 0\.0000(4|399).* of "y0" is too small beside.*quantize/,
    good: one("ADD", [i16(0.7), i16(0.5)], [i16(5e-5)], add(POT_FALSE), 3),
    refused: /./,
  },
  {
    what: "9: a sum with too fine a scale, int8",
    bad: one("ADD", [i8(1), i8(0.5)], [i8(1.8e-6)], add(), 2),
    says: /ADD "y0": the scale 0\.00000179.* of "y0" is too small/,
    good: one("ADD", [i8(1), i8(0.5)], [i8(2e-6)], add(), 2),
    refused: /./,
  },
  {
    what: "10: MAXIMUM of other parameters",
    bad: one("MAXIMUM", [i8(0.25), i8(0.5)], [i8(0.5)], undefined, 2),
    says: /MAXIMUM "y0": its parameters must be those of "x0"/,
    good: one("MAXIMUM", [i8(0.5), i8(0.5)], [i8(0.5)], undefined, 2),
  },
  {
    what: "10: a fused activation that a kernel leaves out",
    bad: one(
      "CONCATENATION",
      [i8(), i8()],
      [i8(0.25, 0, { shape: [1, 8] })],
      {
        type: "ConcatenationOptions",
        value: { axis: 1, fusedActivationFunction: 1 },
      },
      2,
    ),
    says: /CONCATENATION "y0": carries RELU, .*"y0".*operator of its own/,
    good: one(
      "CONCATENATION",
      [i8(), i8()],
      [i8(0.25, 0, { shape: [1, 8] })],
      {
        type: "ConcatenationOptions",
        value: { axis: 1 },
      },
      2,
    ),
  },
  {
    what: "10: a fused TANH",
    bad: one("MUL", [i8(), i8()], [i8()], { type: "MulOptions", value: { fusedActivationFunction: 4 } }, 2),
    says: /MUL "y0": carries TANH/,
    good: one("MUL", [i8(), i8()], [i8()], { type: "MulOptions", value: { fusedActivationFunction: 1 } }, 2),
  },
  ...(["SQRT", "RSQRT"] as const).map(
    (op): Trap => ({
      what: `11: negative numbers in ${op}`,
      // Zeros, as the run gives it, stand for −6.25 here.
      bad: one(op, [i8(0.25, 25)], [i8()], undefined, 2),
      says: new RegExp(`${op} "y0": its operand "x0" has the zero point 25, .*zero point -128`),
      good: one(op, [i8(0.25, -128)], [i8()], undefined, 2),
      refused: /./,
    }),
  ),
  {
    what: "11: negative numbers in LOG",
    bad: one("LOG", [i8(0.25, 25)], [i8()], undefined, 2),
    says: /LOG "y0": its operand "x0" has the zero point 25/,
    good: one("LOG", [i8(0.25, -128)], [i8()], undefined, 2),
  },
  {
    what: "11: a divisor that is 0",
    bad: one("DIV", [i8(), i8(0.25, 3, { values: Int8Array.of(1, 2, 3, 4) })], [i8()]),
    says: /DIV "y0": its operand "x1" has the integer 3, which stands for 0/,
    good: one("DIV", [i8(), i8(0.25, 3, { values: Int8Array.of(1, 2, 4, 5) })], [i8()]),
    refused: /./,
  },
  ...(["NEG", "SQUARE", "FLOOR"] as const).map(
    (op): Trap => ({
      what: `12: ${op} of quantized values`,
      bad: one(op, [i8()], [i8()]),
      says: new RegExp(
        `${op} "y0": LiteRT's ${op} takes quantized values for plain integers \\("y0"\\); keep it float`,
      ),
      good: one(op, [f32()], [f32()]),
    }),
  ),
  {
    what: "12: FLOOR_DIV of quantized values",
    bad: one("FLOOR_DIV", [i8(), i8()], [i8()]),
    says: /FLOOR_DIV "y0": LiteRT's FLOOR_DIV takes quantized values/,
    good: one("FLOOR_DIV", [f32(), f32()], [f32()], undefined, 2),
  },
  {
    what: "12: SCATTER_ND of quantized values",
    bad: one(
      "SCATTER_ND",
      [
        { type: "INT32", shape: [4, 1], values: Int32Array.of(0, 1, 2, 3) },
        i8(0.25, 0, { shape: [4] }),
        { type: "INT32", shape: [1], values: Int32Array.of(4) },
      ],
      [i8(0.25, 0, { shape: [4] })],
    ),
    says: /SCATTER_ND "y0": LiteRT's SCATTER_ND takes quantized values/,
    good: one(
      "SCATTER_ND",
      [
        { type: "INT32", shape: [4, 1], values: Int32Array.of(0, 1, 2, 3) },
        f32({ shape: [4] }),
        { type: "INT32", shape: [1], values: Int32Array.of(4) },
      ],
      [f32({ shape: [4] })],
    ),
  },
  {
    what: "13: int8 in blocks",
    bad: blocks({ type: "INT8" }),
    says: /FULLY_CONNECTED "y0": its operand "x1" is INT8 with a scale for each block.*per channel/,
    good: blocks({}),
  },
  {
    what: "13: blocks of another operator",
    bad: blocks({ op: "DEQUANTIZE", options: { type: "DequantizeOptions", value: {} } }),
    says: /DEQUANTIZE "y0": its operand "x1" is INT4 with a scale for each block/,
    good: blocks({ size: 64 }),
  },
  {
    what: "13: blocks that do not divide a row",
    bad: blocks({ columns: 48, size: 32 }),
    says: /FULLY_CONNECTED "y0": its weights "x1" have blocks of 32 in rows of 48.*--block/,
    good: blocks({ columns: 96, size: 32 }),
  },
  {
    what: "13: blocks of another size",
    bad: blocks({ size: 16 }),
    says: /FULLY_CONNECTED "y0": its weights "x1" have blocks of 16/,
    good: blocks({ size: 32 }),
  },
  {
    what: "13: few rows",
    bad: blocks({ rows: 3 }),
    says: /FULLY_CONNECTED "y0": its weights "x1" have 3 rows, and with fewer than 4.*per channel/,
    good: blocks({ rows: 4 }),
  },
  {
    what: "13: a fused activation",
    bad: blocks({ options: dense({ fusedActivationFunction: 1 }) }),
    says: /FULLY_CONNECTED "y0": carries RELU, which LiteRT leaves out beside block-wise weights \("x1"\)/,
    good: blocks({}),
  },
  {
    what: "13: float32 scales",
    bad: blocks({ scaleType: "FLOAT32", scales: new Float32Array(8).fill(1) }),
    says: /FULLY_CONNECTED "y0": the scales of the blocks of "x1" \("s"\) are no FLOAT16/,
    good: blocks({}),
  },
  {
    what: "13: a block with the scale 0",
    bad: blocks({ scales: Uint16Array.of(1, 1, 1, 0, 1, 1, 1, 1) }),
    says: /FULLY_CONNECTED "y0": a block of "x1" has a scale \("s"\) that is no number above 0/,
    good: blocks({ scales: new Uint16Array(8).fill(1) }),
  },
  {
    what: "14: int4 in DEPTHWISE_CONV_2D with int16",
    bad: one(
      "DEPTHWISE_CONV_2D",
      [i16(0.25, 0, image), filterDw({ type: "INT4", values: new Int8Array(1) }), bias("INT64", [0.125, 0.0625])],
      [i16(1, 0, image)],
      depthwise(),
    ),
    says: /DEPTHWISE_CONV_2D "y0": LiteRT's DEPTHWISE_CONV_2D does not take INT4 weights \("x1"\) with INT16 activations; use int8/,
    good: one(
      "DEPTHWISE_CONV_2D",
      [i8(0.25, 0, image), filterDw({ type: "INT4", values: new Int8Array(1) }), bias("INT32", [0.125, 0.0625])],
      [i8(1, 0, image)],
      depthwise(),
      7,
    ),
  },
  {
    what: "14: int2 in CONV_2D",
    bad: one(
      "CONV_2D",
      [f32(image), filter("INT2", { values: new Int8Array(1) }), f32({ shape: [2], values: new Float32Array(2) })],
      [f32(image)],
      conv(),
    ),
    says: /CONV_2D "y0": LiteRT's CONV_2D does not take INT2 weights \("x1"\) with FLOAT32 activations/,
    good: one(
      "CONV_2D",
      [f32(image), filter(), f32({ shape: [2], values: new Float32Array(2) })],
      [f32(image)],
      conv(),
      5,
    ),
  },
  {
    what: "15: one scale in a hybrid DEPTHWISE_CONV_2D",
    bad: one(
      "DEPTHWISE_CONV_2D",
      [f32(image), filterDw({ scale: 0.5 }), f32({ shape: [2], values: new Float32Array(2) })],
      [f32(image)],
      depthwise(),
      4,
    ),
    says: /DEPTHWISE_CONV_2D "y0": its weights "x1" have 1 scales, .*2 channels; quantize them per channel/,
    good: one(
      "DEPTHWISE_CONV_2D",
      [f32(image), filterDw(), f32({ shape: [2], values: new Float32Array(2) })],
      [f32(image)],
      depthwise(),
      6,
    ),
    refused: /./,
  },
  {
    what: "16: int16 to uint8",
    bad: one("QUANTIZE", [i16()], [{ type: "UINT8", scale: 0.5, zero: 3 }]),
    says: /QUANTIZE "y0": LiteRT's QUANTIZE does not make UINT8 \("y0"\) of INT16 \("x0"\); go by way of INT8/,
    good: one("QUANTIZE", [i16()], [i8(0.5, 3)]),
    refused: /./,
  },
  {
    what: "16: DEQUANTIZE of int16 with a zero point",
    bad: one("DEQUANTIZE", [i16(0.3, 5)], [f32()], undefined, 3),
    says: /DEQUANTIZE "y0": "x0" is INT16 with the zero point 5/,
    good: one("DEQUANTIZE", [i16()], [f32()], undefined, 3),
    refused: /./,
  },
  {
    what: "17: a version that is not registered",
    bad: one("TANH", [i8()], [i8(1 / 128, 0)], undefined, 9),
    says: /TANH "y0": is version 9 of TANH, and LiteRT has up to 3, .*"y0"/,
    good: one("TANH", [i8()], [i8(1 / 128, 0)], undefined, 3),
    refused: /version/,
  },
  {
    what: "18: no kernel for the dtype",
    bad: one("HARD_SWISH", [i16()], [i16()]),
    says: /HARD_SWISH "y0": LiteRT's HARD_SWISH has no INT16 kernel \("y0"\); keep it float/,
    good: one("HARD_SWISH", [i8()], [i8()]),
    refused: /./,
  },
];

describe("problems", () => {
  test.each(TRAPS.map((trap) => [trap.what, trap] as const))("%s", async (_, { bad, says, good, refused }) => {
    const { problems } = await verified(bad);
    expect(problems).toContainEqual(expect.stringMatching(says));
    expect((await verified(good)).problems).toEqual([]);
    if (!refused) return;
    expect(await refusalOf(bad)).toMatch(refused);
    expect(await refusalOf(good)).toBe("");
  });
});

describe("warnings", () => {
  test.each([
    [
      "7: an int32 bias that one of two kernels reads right",
      one(
        "FULLY_CONNECTED",
        [i16(), matrix("INT8"), bias("INT32", [0.15], { shape: [2], values: new Int32Array(2) })],
        [i16(1, 0, { shape: [1, 2] })],
        dense(),
      ),
      /FULLY_CONNECTED "y0": its bias "x2" is INT32.*INT64/,
      one(
        "FULLY_CONNECTED",
        [i16(), matrix("INT8"), bias("INT64", [0.15], { shape: [2], values: new BigInt64Array(2) })],
        [i16(1, 0, { shape: [1, 2] })],
        dense(),
      ),
    ],
    [
      "8: a bias scale that the kernel takes all the same",
      one(
        "FULLY_CONNECTED",
        [i8(), matrix("INT8"), bias("INT32", [0.14], { shape: [2], values: new Int32Array(2) })],
        [i8(1, 0, { shape: [1, 2] })],
        dense(),
        4,
      ),
      /FULLY_CONNECTED "y0": scale 0 of its bias "x2" is 0\.14.*off by 12 %/,
      one(
        "FULLY_CONNECTED",
        [i8(), matrix("INT8"), bias("INT32", [0.125], { shape: [2], values: new Int32Array(2) })],
        [i8(1, 0, { shape: [1, 2] })],
        dense(),
        4,
      ),
    ],
    [
      "9: a field that holds only by luck",
      one("ADD", [i16(0.3), i16(0.5)], [i16(1)], add()),
      /ADD "y0": its pot_scale_int16 is true, which holds only while/,
      one("ADD", [i16(0.3), i16(0.5)], [i16(1)], add(POT_FALSE), 3),
    ],
    [
      "11: a divisor that may be 0",
      one("DIV", [i8(), i8()], [i8()]),
      /DIV "y0": integers of its operand "x1" can stand for 0/,
      one("DIV", [i8(), i8(0.25, 3, { values: Int8Array.of(1, 2, 4, 5) })], [i8()]),
    ],
    [
      "14: rows of half a byte",
      one(
        "FULLY_CONNECTED",
        [f32({ shape: [1, 3] }), matrix("INT4", { shape: [2, 3], values: new Int8Array(3) }), null],
        [f32({ shape: [1, 2] })],
        dense(),
      ),
      /FULLY_CONNECTED "y0": rows of its weights "x1" have 3 values.*int8/,
      one("FULLY_CONNECTED", [f32(), matrix("INT4"), null], [f32({ shape: [1, 2] })], dense()),
    ],
    [
      "17: a version below what is used",
      one("CONV_2D", [i8(0.25, 0, image), filter(), bias("INT32", [0.125, 0.0625])], [i8(1, 0, image)], conv(), 1),
      /CONV_2D "y0": is marked as version 1 of CONV_2D, but uses what came with version 3/,
      one("CONV_2D", [i8(0.25, 0, image), filter(), bias("INT32", [0.125, 0.0625])], [i8(1, 0, image)], conv(), 3),
    ],
    [
      // 127 · 4 · 32767 = 16,645,636 fits; 127 · 520 · 32767 does not.
      "19: sums of more than 32 bits",
      one(
        "FULLY_CONNECTED",
        [
          i16(0.3, 0, { shape: [1, 520] }),
          matrix("INT8", { shape: [2, 520], values: new Int8Array(1040).fill(127) }),
          null,
        ],
        [i16(1, 0, { shape: [1, 2] })],
        dense(),
      ),
      /FULLY_CONNECTED "y0": sums of its weights "x1" may reach 2163932680, more than/,
      one(
        "FULLY_CONNECTED",
        [i16(), matrix("INT8", { values: new Int8Array(8).fill(127) }), null],
        [i16(1, 0, { shape: [1, 2] })],
        dense(),
      ),
    ],
  ] as [string, Model, RegExp, Model][])("%s", async (_, bad, says, good) => {
    const found = await verified(bad);
    expect(found.problems).toEqual([]);
    expect(found.warnings).toEqual([expect.stringMatching(says)]);
    expect(await verified(good)).toMatchObject({ problems: [], warnings: [] });
  });
});

/** Two variables' handles, values that are assigned, and a value that is read. */
function variables(scale: number, shared: [string, string]): Model {
  return model(["x"], ["y"], (graph) => {
    const handle = (name: string): BuiltinOptions => ({ type: "VarHandleOptions", value: { sharedName: name } });
    graph
      .tensor("x", [1, 4], "INT8", quantized(0.25, 0))
      .tensor("a", [], "RESOURCE")
      .tensor("b", [], "RESOURCE")
      .tensor("y", [1, 4], "INT8", quantized(scale, 0))
      .operator("VAR_HANDLE", [], ["a"], handle(shared[0]))
      .operator("ASSIGN_VARIABLE", ["a", "x"], [], { type: "AssignVariableOptions", value: {} })
      .operator("VAR_HANDLE", [], ["b"], handle(shared[1]))
      .operator("READ_VARIABLE", ["b"], ["y"], { type: "ReadVariableOptions", value: {} });
  });
}

test("20: values of one variable", async () => {
  expect((await verified(variables(0.5, ["v", "v"]))).problems).toEqual([
    expect.stringMatching(/READ_VARIABLE "y": "y" and "x" are values of one variable|ASSIGN_VARIABLE.*"x" and "y"/),
  ]);
  expect((await verified(variables(0.25, ["v", "v"]))).problems).toEqual([]);
  expect((await verified(variables(0.5, ["v", "w"]))).problems).toEqual([]);
});

test("14: packed weights of another length are no model", async () => {
  const odd = one(
    "FULLY_CONNECTED",
    [f32(), matrix("INT4", { values: new Int8Array(5) }), null],
    [f32({ shape: [1, 2] })],
    dense(),
  );
  expect(verified(odd)).rejects.toThrow(/INT4 of shape \[2, 4\] needs 4 bytes, buffer \d+ has 5/);
});
