/** Quantized models as float ones: numbers against the rule written naively, structure, and LiteRT's own integer kernels. */
import { describe, expect, test } from "bun:test";
import { compileLibrary, loadEngine } from "../../src/calibration/litert.ts";
import { MemoryBytes } from "../../src/model/bytes.ts";
import {
  type BuiltinOptions,
  type Model,
  readModel,
  serializeModel,
  type Tensor,
  TensorType,
} from "../../src/model/index.ts";
import { type Dequantized, dequantizeModel } from "../../src/passes/transform/dequantize.ts";
import { workspace } from "../../src/passes/workspace.ts";
import { DEFAULT_SCHEME } from "../../src/rules/schemes.ts";
import { int8Lstm } from "../helpers/int8-lstm.ts";
import { GraphBuilder, ModelBuilder, model, quantized, quantizedAs } from "../helpers/models.ts";
import { inferAll, quantize, spaceOf, type Written, written } from "./support.ts";

const f32 = Math.fround;
const FULLY: BuiltinOptions = { type: "FullyConnectedOptions", value: {} };
const ADD: BuiltinOptions = { type: "AddOptions", value: {} };

interface Result extends Written {
  readonly done: Dequantized;
  readonly notes: readonly string[];
}

/** The first subgraph, as `minmaxq dequantize` writes it. */
async function dequantized(made: Model, keepRanges = false, index = 0): Promise<Result> {
  const space = await spaceOf(made);
  const done = dequantizeModel(space, keepRanges);
  inferAll(space);
  return { ...(await written(space, index)), done, notes: space.context.notes.map(({ text }) => text) };
}

/** Operators with the dtypes and parameters of what they yield: `QUANTIZE(x) -> q INT8 0.5 3`. */
function yielding({ operators, tensors }: Result): string[] {
  return operators.map((line) => {
    const { dtype, scale, zeroPoint } = tensors.get(line.slice(line.indexOf("-> ") + 3))!;
    return [line.replace(/ {.*}/, ""), dtype, ...scale.map(float), ...zeroPoint].join(" ");
  });
}

/** A float operator with weights `w`. */
const dense = (
  shape: number[],
  bytes: Int8Array | Uint8Array,
  weights: Partial<Tensor>,
  more?: (g: GraphBuilder) => void,
) =>
  model(["x"], ["y"], (graph) => {
    graph.tensor("x", [1, shape[1]!]).tensor("y", [1, shape[0]!]);
    graph.constant("w", shape, bytes, weights).operator("FULLY_CONNECTED", ["x", "w"], ["y"], FULLY);
    more?.(graph);
  });

const bytesOf = (values: ArrayBufferView) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** Values of `bits` bits in two's complement, packed from the lowest bits on. */
function packed(values: readonly number[], bits: number): Uint8Array {
  const bytes = new Uint8Array(Math.ceil((values.length * bits) / 8));
  values.forEach((value, i) => {
    bytes[Math.floor((i * bits) / 8)]! |= (value & (2 ** bits - 1)) << ((i * bits) % 8);
  });
  return bytes;
}

describe("constants are (q − zero point) · scale in f32", () => {
  const Q = [-128, -3, 0, 5, 77, 127];
  const cases: [string, Partial<Tensor>, Uint8Array, number[], number[]][] = [
    ["INT8 per tensor", quantizedAs("INT8", [0.1], [3]), bytesOf(Int8Array.from(Q)), Q, [3]],
    ["UINT8 per tensor", quantizedAs("UINT8", [0.1], [128]), bytesOf(Int8Array.from(Q)), Q, [0]],
    ["INT8 along axis 0", quantizedAs("INT8", [0.1, 0.7], [0, -4]), bytesOf(Int8Array.from(Q)), Q, [0, -4]],
    ["INT16", quantizedAs("INT16", [0.3], [0]), bytesOf(Int16Array.from(Q)), Q, [0]],
    ["INT4", quantizedAs("INT4", [0.3, 0.4], [0, 0]), packed([-8, 7, 3, -1, 0, 2], 4), [-8, 7, 3, -1, 0, 2], [0, 0]],
    ["UINT4", quantizedAs("UINT4", [0.3], [8]), packed([0, 15, 3, 9, 8, 2], 4), [0, 15, 3, 9, 8, 2], [8]],
  ];
  test.each(cases)("%s", async (_, weights, bytes, integers, zeros) => {
    const { tensors, done } = await dequantized(dense([2, 3], bytes, weights));
    const scale = [...weights.quantization!.scale!];
    const expected = integers.map((q, i) => {
      const channel = scale.length > 1 ? Math.floor(i / 3) : 0;
      return f32((q - zeros[channel]!) * scale[channel]!);
    });
    expect(tensors.get("w")).toMatchObject({ dtype: "FLOAT32", scale: [], zeroPoint: [], values: expected });
    expect(done).toMatchObject({ activations: 0, constants: 1, removed: 0, kept: [] });
  });

  test("INT2, which TFLite alone has", async () => {
    const weights = dense([2, 3], packed([-2, 1, 0, -1, 1, -2], 2), quantizedAs("INT2", [0.5, 2], [0, 0]));
    const file = readModel(new MemoryBytes(await serializeModel({ ...weights, version: 3 }, { dialect: "tflite" })));
    const space = workspace(file, DEFAULT_SCHEME);
    dequantizeModel(space, false);
    expect((await written(space)).tensors.get("w")!.values).toEqual([-1, 0.5, 0, -2, 2, -4]);
  });

  test.each(["INT32", "INT64"] as const)("a bias of %s, with its scales along the only axis", async (type) => {
    const integers = [16777217, -5];
    const values = type === "INT32" ? Int32Array.from(integers) : BigInt64Array.from(integers, BigInt);
    const { tensors } = await dequantized(
      model(["x"], ["y"], (graph) =>
        graph
          .tensor("x", [1, 2], "INT8", quantized(0.5, 3))
          .constant("w", [2, 2], Int8Array.of(1, 2, 3, 4), quantizedAs("INT8", [0.1, 0.2], [0, 0]))
          .constant("b", [2], values, quantizedAs(type, [0.05, 0.1], [0, 0], 3))
          .tensor("y", [1, 2], "INT8", quantized(0.25, -7))
          .operator("FULLY_CONNECTED", ["x", "w", "b"], ["y"], FULLY),
      ),
    );
    // 16777217 has 25 bits: it is rounded before it is multiplied.
    expect(tensors.get("b")!.values).toEqual([f32(16777216 * f32(0.05)), f32(-5 * f32(0.1))]);
    for (const name of ["x", "y", "w", "b"]) expect(tensors.get(name)).toMatchObject({ dtype: "FLOAT32", scale: [] });
  });

  test("block-wise INT4 by float16 scales, across pieces of the weight stream", async () => {
    const [rows, columns, block] = [520, 2112, 32];
    const q = (i: number) => ((i * 7 + Math.floor(i / 13)) % 16) - 8;
    const values = Array.from({ length: rows * columns }, (_, i) => q(i));
    // float16 from 1 to 2: 0x3c00 is 1, and each bit more 1/1024.
    const halves = Uint16Array.from({ length: (rows * columns) / block }, (_, i) => 0x3c00 + (i % 1024));
    const blockwise = (zeroPoints: number): Partial<Tensor> => ({
      type: TensorType.INT4,
      quantization: {
        details: { type: "BlockwiseQuantization", value: { scales: 3, zeroPoints, blockSize: block } },
      },
    });
    const made = (zeroPoints: number) =>
      dense([rows, columns], packed(values, 4), blockwise(zeroPoints), (graph) =>
        graph.constant("w_scales", [rows, columns / block], halves, { type: TensorType.FLOAT16 }),
      );
    const { tensors } = await dequantized(made(-1));
    const floats = tensors.get("w")!.values as number[];
    const wrong = values.findIndex((each, i) => floats[i] !== each * (1 + (Math.floor(i / block) % 1024) / 1024));
    expect([floats.length, wrong]).toEqual([rows * columns, -1]);
    expect(tensors.has("w_scales")).toBe(false);
    expect((await dequantized(made(3))).notes[0]).toContain("has zero points block by block");
  });

  test("float16, also where no DEQUANTIZE stands before it", async () => {
    // 1.5 and −2 as float16.
    const halves = Uint16Array.of(0x3e00, 0xc000);
    const { tensors } = await dequantized(
      model(["i"], ["y"], (graph) =>
        graph
          .tensor("i", [1], "INT32")
          .constant("w", [2, 1], halves, { type: TensorType.FLOAT16 })
          .tensor("y", [1, 1])
          .operator("EMBEDDING_LOOKUP", ["i", "w"], ["y"]),
      ),
    );
    expect(tensors.get("w")).toMatchObject({ dtype: "FLOAT32", values: [1.5, -2] });
    expect(tensors.get("i")!.dtype).toBe("INT32");
  });

  test("UINT8 weights of float operators are read as LiteRT reads them: as int8", async () => {
    const { tensors } = await dequantized(dense([1, 2], Uint8Array.of(10, 200), quantizedAs("UINT8", [0.5], [128])));
    expect(tensors.get("w")!.values).toEqual([5, -28]);
  });
});

/** x ─▶ QUANTIZE ─▶ FULLY_CONNECTED ─▶ RESHAPE without parameters ─▶ DEQUANTIZE ─▶ y. */
const between = (graph: GraphBuilder) =>
  graph
    .tensor("x", [1, 2])
    .tensor("xq", [1, 2], "INT8", quantized(0.5, 1))
    .constant("w", [2, 2], Int8Array.of(1, -2, 3, -4), quantizedAs("INT8", [0.5], [0]))
    .constant("shape", [2], Int32Array.of(2, 1), { quantization: quantized(1, 0).quantization! })
    .tensor("f", [1, 2], "INT8", quantized(0.25, -3))
    .tensor("r", [2, 1], "INT8")
    .tensor("y", [2, 1])
    .operator("QUANTIZE", ["x"], ["xq"], { type: "QuantizeOptions", value: {} })
    .operator("FULLY_CONNECTED", ["xq", "w"], ["f"], FULLY)
    .operator("RESHAPE", ["f", "shape"], ["r"], { type: "ReshapeOptions", value: {} })
    .operator("DEQUANTIZE", ["r"], ["y"], { type: "DequantizeOptions", value: {} });

describe("graphs", () => {
  test("QUANTIZE and DEQUANTIZE go, ends keep their names, shapes their integers", async () => {
    const made = model(["x"], ["y"], (graph) => void between(graph));
    made.signatureDefs = [
      {
        signatureKey: "serving",
        inputs: [{ name: "in", tensorIndex: 0 }],
        outputs: [{ name: "out", tensorIndex: 6 }],
      },
    ];
    const result = await dequantized(made);
    const { inputs, outputs, tensors, model: after, done } = result;
    expect(yielding(result)).toEqual(["FULLY_CONNECTED(x, w) -> f FLOAT32", "RESHAPE(f, shape) -> y FLOAT32"]);
    expect([inputs, outputs]).toEqual([["x"], ["y"]]);
    expect(tensors.get("shape")!.dtype).toBe("INT32");
    const names = after.subgraphs![0]!.tensors!.map(({ name }) => name);
    const [signature] = after.signatureDefs!;
    expect(names[signature!.inputs![0]!.tensorIndex ?? 0]).toBe("x");
    expect(names[signature!.outputs![0]!.tensorIndex ?? 0]).toBe("y");
    expect(done).toMatchObject({ activations: 2, constants: 1, removed: 2, kept: [] });
  });

  test("a weight behind DEQUANTIZE, and one constant that two operators read", async () => {
    const { operators, tensors } = await dequantized(
      model(["x"], ["y", "z"], (graph) =>
        graph
          .tensor("x", [1, 2])
          .constant("w", [2, 2], Int8Array.of(1, -2, 3, -4), quantizedAs("INT8", [0.5], [0]))
          .tensor("wf", [2, 2])
          .tensor("y", [1, 2])
          .tensor("z", [1, 2])
          .operator("DEQUANTIZE", ["w"], ["wf"], { type: "DequantizeOptions", value: {} })
          .operator("FULLY_CONNECTED", ["x", "wf"], ["y"], FULLY)
          .operator("FULLY_CONNECTED", ["x", "w"], ["z"], FULLY),
      ),
    );
    expect(operators.map((line) => line.slice(0, line.indexOf(")") + 1))).toEqual([
      "FULLY_CONNECTED(x, w)",
      "FULLY_CONNECTED(x, w)",
    ]);
    expect(tensors.get("w")!.values).toEqual([0.5, -1, 1.5, -2]);
  });

  test("two outputs of one tensor: one keeps its name, the other is named", async () => {
    const { outputs, notes } = await dequantized(
      model(["x"], ["a", "b"], (graph) =>
        graph
          .tensor("x", [2], "INT8", quantized(0.5, 0))
          .tensor("n", [2], "INT8", quantized(0.5, 0))
          .tensor("a", [2])
          .tensor("b", [2])
          .operator("NEG", ["x"], ["n"], { type: "NegOptions", value: {} })
          .operator("DEQUANTIZE", ["n"], ["a"], { type: "DequantizeOptions", value: {} })
          .operator("DEQUANTIZE", ["n"], ["b"], { type: "DequantizeOptions", value: {} }),
      ),
    );
    expect(outputs).toEqual(["a", "a"]);
    expect(notes).toEqual(['output "b": is "a" itself now, and called so']);
  });

  test("an output that is a constant", async () => {
    const { tensors, outputs } = await dequantized(
      model(["x"], ["x", "c"], (graph) =>
        graph
          .tensor("x", [1], "UINT8", quantized(0.5, 0))
          .constant("c", [2], Int8Array.of(1, -2), quantizedAs("INT8", [0.5], [1])),
      ),
    );
    expect(outputs).toEqual(["x", "c"]);
    expect(tensors.get("x")!.dtype).toBe("FLOAT32");
    expect(tensors.get("c")).toMatchObject({ dtype: "FLOAT32", values: [0, -1.5] });
  });

  test("indices stay, CAST names its dtypes", async () => {
    const { tensors, model: after } = await dequantized(
      model(["x"], ["m", "c"], (graph) =>
        graph
          .tensor("x", [1, 4], "UINT8", quantized(0.5, 3))
          .constant("axis", [1], Int32Array.of(1))
          .tensor("m", [1], "INT32", quantized(1, 0))
          .tensor("c", [1, 4], "UINT8", quantized(0.5, 3))
          .operator("ARG_MAX", ["x", "axis"], ["m"], { type: "ArgMaxOptions", value: { outputType: TensorType.INT32 } })
          .operator("CAST", ["x"], ["c"], {
            type: "CastOptions",
            value: { inDataType: TensorType.UINT8, outDataType: TensorType.UINT8 },
          }),
      ),
    );
    expect(["x", "m", "c"].map((name) => tensors.get(name)!.dtype)).toEqual(["FLOAT32", "INT32", "FLOAT32"]);
    const options = after.subgraphs![0]!.operators![1]!.builtinOptions!.value as Record<string, number>;
    expect([options.inDataType ?? 0, options.outDataType ?? 0]).toEqual([TensorType.FLOAT32, TensorType.FLOAT32]);
  });

  test("a subgraph that WHILE runs goes with it, and a state with what reads it", async () => {
    const builder = new ModelBuilder();
    const int8 = quantized(0.5, 1);
    const main = new GraphBuilder(builder)
      .tensor("x", [2], "INT8", int8)
      .tensor("y", [2], "INT8", int8)
      .operator("WHILE", ["x"], ["y"], { type: "WhileOptions", value: { condSubgraphIndex: 1, bodySubgraphIndex: 2 } });
    const condition = new GraphBuilder(builder)
      .tensor("c", [2], "INT8", int8)
      .constant("limit", [2], Int8Array.of(3, 5), quantizedAs("INT8", [0.5], [1]))
      .tensor("less", [2], "BOOL")
      .operator("LESS", ["c", "limit"], ["less"], { type: "LessOptions", value: {} });
    const body = new GraphBuilder(builder)
      .tensor("b", [2], "INT8", int8)
      .tensor("sum", [2], "INT8", int8)
      .operator("ADD", ["b", "b"], ["sum"], ADD);
    const made = builder.model(main.graph(["x"], ["y"]), condition.graph(["c"], ["less"]), body.graph(["b"], ["sum"]));
    const dtypes = async (index: number) =>
      Object.fromEntries(
        [...(await dequantized(made, false, index)).tensors].map(([name, { dtype }]) => [name, dtype]),
      );
    expect(await dtypes(0)).toEqual({ x: "FLOAT32", y: "FLOAT32" });
    expect(await dtypes(1)).toEqual({ c: "FLOAT32", limit: "FLOAT32", less: "BOOL" });
    expect(await dtypes(2)).toEqual({ b: "FLOAT32", sum: "FLOAT32" });
    expect((await dequantized(made, false, 1)).tensors.get("limit")!.values).toEqual([1, 2]);
  });
});

describe("what stays quantized, with borders and a reason", () => {
  test("a custom operator", async () => {
    const result = await dequantized(
      model(["x"], ["y", "z"], (graph) =>
        graph
          .tensor("x", [2], "INT8", quantized(0.5, 3))
          .tensor("a", [2], "INT8", quantized(0.25, -1))
          .constant("t", [2], Int8Array.of(1, 2), quantizedAs("INT8", [0.5], [0]))
          .tensor("y", [2], "INT8", quantized(0.75, 5))
          .tensor("z", [2], "INT8", quantized(0.5, 0))
          .operator("ADD", ["x", "x"], ["a"], ADD)
          .operator("CUSTOM", ["a", "t"], ["y"], undefined, "Secret")
          .operator("NEG", ["y"], ["z"], { type: "NegOptions", value: {} }),
      ),
    );
    const { outputs, done, notes, tensors } = result;
    expect(yielding(result)).toEqual([
      "ADD(x, x) -> a FLOAT32",
      "QUANTIZE(a) -> a_Quantize INT8 0.25 -1",
      "CUSTOM:Secret(a_Quantize, t) -> y_quantized INT8 0.75 5",
      "DEQUANTIZE(y_quantized) -> y FLOAT32",
      "NEG(y) -> z FLOAT32",
    ]);
    expect(outputs).toEqual(["y", "z"]);
    expect(tensors.get("t")).toMatchObject({ dtype: "INT8", values: [1, 2] });
    const reason = "what a custom operator makes of integers is not in the file";
    expect(done.kept).toEqual([`CUSTOM:Secret "y": ${reason}`]);
    expect(notes).toEqual([`CUSTOM:Secret "y": stays quantized: ${reason}`]);
  });

  test("two of them after each other hand integers on", async () => {
    const { operators } = await dequantized(
      model(["x"], ["z"], (graph) =>
        graph
          .tensor("x", [2], "INT8", quantized(0.5, 3))
          .tensor("y", [2], "INT8", quantized(0.75, 5))
          .tensor("z", [2], "INT8", quantized(0.5, 0))
          .operator("CUSTOM", ["x"], ["y"], undefined, "Secret")
          .operator("CUSTOM", ["y"], ["z"], undefined, "Secret"),
      ),
    );
    expect(operators.map((line) => line.slice(0, line.indexOf(" ->")))).toEqual([
      "QUANTIZE(x)",
      "CUSTOM:Secret(x_Quantize)",
      "CUSTOM:Secret(y)",
      "DEQUANTIZE(z_quantized)",
    ]);
  });

  test("a QUANTIZE before it is kept by its name", async () => {
    const result = await dequantized(
      model(["x"], ["y"], (graph) =>
        graph
          .tensor("x", [2])
          .tensor("q", [2], "INT8", quantized(0.5, 3))
          .tensor("y", [2])
          .operator("QUANTIZE", ["x"], ["q"], { type: "QuantizeOptions", value: {} })
          .operator("CUSTOM", ["q"], ["y"], undefined, "Secret"),
      ),
    );
    expect(yielding(result)).toEqual(["QUANTIZE(x) -> q INT8 0.5 3", "CUSTOM:Secret(q) -> y FLOAT32"]);
  });

  const withWeights = (weights: Partial<Tensor>, options = FULLY, input: Partial<Tensor> = quantized(0.5, 0)) =>
    model(["x"], ["y"], (graph) =>
      graph
        .tensor("x", [1, 2], "INT8", input)
        .constant("w", [2, 2], Int8Array.of(1, -2, 3, -4), weights)
        .tensor("y", [1, 2], "INT8", quantized(0.25, -3))
        .operator("FULLY_CONNECTED", ["x", "w"], ["y"], options),
    );
  test.each([
    ["no scale", withWeights({ type: TensorType.INT8 }), 'constant "w" is INT8 without a scale'],
    ["scales that do not fit", withWeights(quantizedAs("INT8", [1, 2, 3], [0, 0, 0])), "do not fit its shape [2,2]"],
    ["a scale that is no number", withWeights(quantizedAs("INT8", [Number.NaN], [0])), "no finite number"],
    ["an input without one", withWeights(quantizedAs("INT8", [1], [0]), FULLY, {}), '"x" is INT8 without a scale'],
    [
      "a layout of its own",
      withWeights(quantizedAs("INT8", [1], [0]), { type: "FullyConnectedOptions", value: { weightsFormat: 1 } }),
      "weightsFormat",
    ],
  ])("%s", async (_, made, reason) => {
    const result = await dequantized(made);
    const { done, tensors } = result;
    expect(done.kept).toHaveLength(1);
    expect(done.kept[0]).toContain(reason);
    expect(yielding(result).at(-1)).toBe("DEQUANTIZE(y_quantized) -> y FLOAT32");
    expect(tensors.get("w")).toMatchObject({ dtype: "INT8", values: [1, -2, 3, -4] });
  });

  test("float operators and plain integers are no matter", async () => {
    const { done, operators } = await dequantized(
      model(["x", "i"], ["y"], (graph) =>
        graph
          .tensor("x", [4])
          .tensor("i", [4], "UINT8")
          .tensor("f", [4])
          .tensor("y", [4])
          .operator("CAST", ["i"], ["f"], { type: "CastOptions", value: { inDataType: TensorType.UINT8 } })
          .operator("ADD", ["x", "f"], ["y"], ADD),
      ),
    );
    expect(done).toEqual({ activations: 0, constants: 0, removed: 0, activated: 0, kept: [] });
    expect(operators).toHaveLength(2);
  });
});

describe("activations that only the integers were", () => {
  const add = (type: "UINT8" | "INT8" | "INT16", scale: number, zeroPoint: number, value = {}) =>
    model(["x"], ["y"], (graph) =>
      graph
        .tensor("x", [2], type, quantized(0.1, 0))
        .tensor("y", [2], type, quantized(scale, zeroPoint))
        .operator("ADD", ["x", "x"], ["y"], { type: "AddOptions", value }),
    );
  test.each([
    ["UINT8 from 0 to 6", add("UINT8", 6 / 255, 0), "RELU6"],
    ["INT8 from 0 to 6", add("INT8", 6 / 255, -128), "RELU6"],
    ["UINT8 from 0 on", add("UINT8", 0.5, 0), "RELU"],
    ["UINT8 from below 0", add("UINT8", 6 / 255, 1), undefined],
    ["INT16", add("INT16", 6 / 32767, 0), undefined],
    ["one that it has", add("UINT8", 6 / 255, 0, { fusedActivationFunction: 1 }), "RELU"],
  ])("%s", async (_, made, activation) => {
    const { operators } = await dequantized(made);
    expect(/\) (RELU\w*)/.exec(operators[0]!)?.[1]).toBe(activation as string);
  });
});

describe("--keep-ranges", () => {
  const chain = (type: "UINT8" | "INT16", zeroPoint: number, more: Partial<Tensor> = {}) =>
    model(["x"], ["y"], (graph) =>
      graph
        .tensor("x", [1, 2], type, quantized(0.0123, zeroPoint))
        .constant(
          "w",
          [2, 2],
          type === "UINT8" ? Uint8Array.of(0, 255, 40, 7) : bytesOf(Int16Array.of(-32767, 5, 3, 32767)),
          {
            ...quantizedAs(type, [0.01], [type === "UINT8" ? 100 : 0]),
          },
        )
        .tensor("y", [1, 2], type, { ...quantized(0.0456, zeroPoint), ...more })
        .operator("FULLY_CONNECTED", ["x", "w"], ["y"], FULLY),
    );

  test("what the integers can stand for", async () => {
    const { tensors } = await dequantized(chain("UINT8", 40), true);
    const s = f32(0.0123);
    expect(rangeOf(tensors, "x")).toEqual([f32(-40 * s), f32(215 * s)]);
    expect(rangeOf((await dequantized(chain("INT16", 0), true)).tensors, "x")).toEqual([
      f32(-32767 * s),
      f32(32767 * s),
    ]);
    expect(rangeOf((await dequantized(chain("UINT8", 40))).tensors, "x")).toEqual([]);
  });

  test("a recorded range that the file has is better", async () => {
    const quantization = { ...quantized(0.0456, 40).quantization!, min: Float32Array.of(-1), max: Float32Array.of(9) };
    expect(rangeOf((await dequantized(chain("UINT8", 40, { quantization }), true)).tensors, "y")).toEqual([-1, 9]);
  });

  test("what is quantized behind a float tensor is its range", async () => {
    const { tensors } = await dequantized(
      model(["x"], ["y"], (graph) => void between(graph)),
      true,
    );
    expect(rangeOf(tensors, "x")).toEqual([-64.5, 63]);
  });

  test.each([
    ["UINT8", 40, "uint8"],
    ["INT16", 0, "int16"],
  ] as const)("quantized anew without samples it has the same integers: %s", async (type, zeroPoint) => {
    const made = chain(type, zeroPoint);
    const float = await dequantized(made, true);
    const { tensors } = await written(
      await quantize(float.model, { dtype: type, granularity: type === "UINT8" ? "layer" : "channel" }),
    );
    const before = await written(await spaceOf(made));
    expect(tensors.get("w")!.values).toEqual(before.tensors.get("w")!.values);
    for (const name of ["x", "y"]) {
      expect(tensors.get(name)!.zeroPoint).toEqual([zeroPoint]);
      expect(
        Math.abs(bits(tensors.get(name)!.scale[0]!) - bits(before.tensors.get(name)!.scale[0]!)),
      ).toBeLessThanOrEqual(1);
    }
  });
});

/** A float32 of its bits, as facts of tensors have it. */
const bits = (hex: string) => Number.parseInt(hex, 16);
const float = (hex: string) => new Float32Array(Uint32Array.of(bits(hex)).buffer)[0]!;

function rangeOf(tensors: Written["tensors"], name: string): number[] {
  const { min, max } = tensors.get(name)!;
  return [...min, ...max].map(float);
}

/** Runs a model in LiteRT; gives the bytes of its outputs. */
async function run(made: Model, inputs: readonly Uint8Array[]): Promise<Uint8Array[]> {
  const [graph] = made.subgraphs!;
  const names = [...graph!.outputs!].map((tensor) => graph!.tensors![tensor]!.name!);
  const bytes = await serializeModel({ ...made, version: 3 }, { dialect: "tflite" });
  const engine = await loadEngine(bytes, names, await compileLibrary(false), false);
  const outputs: Uint8Array[] = [];
  await engine.run(inputs, (output, seen) => {
    outputs[output] = seen.slice();
  });
  engine.close();
  return outputs;
}

test("LiteRT's int8 kernels and the float model agree within a step", async () => {
  // The last scale is wide enough: nothing is cut off by integers' limits.
  const made = model(["x"], ["y"], (graph) =>
    graph
      .tensor("x", [1, 4, 4, 2], "INT8", quantized(0.02, 5))
      .constant(
        "w",
        [3, 2, 2, 2],
        Int8Array.from({ length: 24 }, (_, i) => ((i * 37) % 255) - 127),
        {
          ...quantizedAs("INT8", [0.01, 0.004, 0.02], [0, 0, 0]),
        },
      )
      .constant("b", [3], Int32Array.of(1000, -2000, 500), quantizedAs("INT32", [0.0002, 0.00008, 0.0004], [0, 0, 0]))
      .tensor("c", [1, 3, 3, 3], "INT8", quantized(0.1, -10))
      .tensor("a", [1, 3, 3, 3], "INT8", quantized(0.25, 3))
      .tensor("y", [1, 3, 3, 3], "INT8", quantized(1 / 256, -128))
      .operator("CONV_2D", ["x", "w", "b"], ["c"], {
        type: "Conv2DOptions",
        value: { padding: 1, strideW: 1, strideH: 1, dilationWFactor: 1, dilationHFactor: 1 },
      })
      .operator("ADD", ["c", "c"], ["a"], ADD)
      .operator("LOGISTIC", ["a"], ["y"]),
  );
  const { model: float } = await dequantized(made);
  const integers = Int8Array.from({ length: 32 }, (_, i) => ((i * 53) % 200) - 100);
  const floats = Float32Array.from(integers, (q) => f32((q - 5) * f32(0.02)));
  const [expected] = await run(made, [bytesOf(integers)]);
  const [actual] = await run(float, [bytesOf(floats)]);
  const wanted = [...new Int8Array(expected!.buffer)].map((q) => (q + 128) / 256);
  const found = [...new Float32Array(actual!.buffer)];
  expect(found).toHaveLength(27);
  // LOGISTIC's slope is at most ¼: half a step of c, twice, and half a step of a make ¼ · (0.1 + 0.125) at most, and its own half step.
  expect(Math.max(...found.map((value, i) => Math.abs(value - wanted[i]!)))).toBeLessThan(
    0.25 * (0.1 + 0.125) + 0.5 / 256 + 1e-6,
  );
  expect(new Set(wanted).size).toBeGreaterThan(10);
});

test("an int8 LSTM: its floats, computed naively, agree with LiteRT's int8 kernel within a step", async () => {
  const { made, inputs, cells, integers, litert } = int8Lstm();
  const { tensors } = await dequantized(made);
  for (const name of ["x", "h", "c", "y"]) expect(tensors.get(name)).toMatchObject({ dtype: "FLOAT32", scale: [] });
  const floats = (name: string) => tensors.get(name)!.values as number[];
  let [h, c] = [new Array<number>(cells).fill(0), new Array<number>(cells).fill(0)];
  for (let step = 0; step < 2; step++) {
    const x = integers.slice(step * inputs, (step + 1) * inputs).map((q) => (q - 3) * 0.01);
    const product = (name: string, of: readonly number[]) =>
      h.map((_, row) => of.reduce((sum, value, column) => sum + floats(name)[row * of.length + column]! * value, 0));
    const gates = [0, 1, 2, 3].map((gate) => {
      const [ofInput, ofState] = [product(`input${gate}`, x), product(`state${gate}`, h)];
      return h.map((_, row) => ofInput[row]! + ofState[row]! + floats(`bias${gate}`)[row]!);
    });
    const sigmoid = (value: number) => 1 / (1 + Math.exp(-value));
    c = c.map((old, row) => sigmoid(gates[1]![row]!) * old + sigmoid(gates[0]![row]!) * Math.tanh(gates[2]![row]!));
    h = c.map((state, row) => sigmoid(gates[3]![row]!) * Math.tanh(state));
    h.forEach((value, row) => {
      expect(Math.abs(value - litert[step * cells + row]! / 128)).toBeLessThan(1 / 128);
    });
  }
});
