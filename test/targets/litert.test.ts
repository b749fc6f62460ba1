/**
 * Targets of LiteRT's family. The tables are held to what the runtimes themselves said: litert-versions.tsv (ai-edge-litert 2.3: the highest
 * version of each builtin operator that its interpreter finds) and tflm-operators.tsv (tflite-micro of October 2026: what its resolver has, and
 * whether models of single operators ran).
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type BuiltinOptions, type Model, TensorType } from "../../src/model/index.ts";
import { checkTarget, graphsFor, onTheCpu, remarksOn } from "../../src/passes/target/check.ts";
import { TARGETS, type Target, type TargetName, targetNamed, targetRow } from "../../src/rules/targets.ts";
import { ConstantScanner } from "../../src/weights/scan.ts";
import { type GraphBuilder, model, quantized } from "../helpers/models.ts";
import { reopened } from "../passes/support.ts";

const lines = (name: string) =>
  readFileSync(join(import.meta.dir, name), "utf8")
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((line) => line.split("\t"));

describe("litert: versions as its registry has them", () => {
  for (const [op = "", highest = ""] of lines("litert-versions.tsv"))
    test(op, () => {
      const { dtypes, version } = targetRow(TARGETS.litert, op);
      expect({ op, has: dtypes.length > 0 }).toEqual({ op, has: highest !== "0" });
      if (version !== undefined && highest !== "0") expect({ op, version }).toEqual({ op, version: Number(highest) });
    });
});

describe("tflm: operators as its interpreter ran them", () => {
  for (const [op = "", registered = "", ...ran] of lines("tflm-operators.tsv"))
    test(op, () => {
      const { dtypes } = targetRow(TARGETS.tflm, op);
      expect({ op, has: dtypes.length > 0 }).toEqual({ op, has: registered === "yes" });
      if (registered !== "yes") return;
      (["FLOAT32", "INT8", "INT16"] as const).forEach((dtype, i) => {
        // A part of the models: by rank, which is another rule. LSTM was tried with 20 operands, which is another one.
        if (ran[i] && ran[i] !== "no" && op !== "UNIDIRECTIONAL_SEQUENCE_LSTM")
          expect({ op, dtype, taken: dtypes.includes(dtype) }).toEqual({ op, dtype, taken: true });
        if (ran[i] === "no" && op !== "UNIDIRECTIONAL_SEQUENCE_LSTM")
          expect({ op, dtype, taken: dtypes.includes(dtype) }).toEqual({ op, dtype, taken: false });
      });
    });
});

describe("ethos-u: where Vela put operators", () => {
  for (const [op = "", float = "", ...put] of lines("vela-operators.tsv"))
    test(op, () => {
      const row = targetRow(TARGETS["ethos-u"], op);
      if (float) expect({ op, never: row.neverFloat !== undefined }).toEqual({ op, never: float === "ends" });
      (["INT8", "INT16"] as const).forEach((dtype, i) => {
        // Those models enlarge by 2.5, which is another rule.
        if (!put[i] || op.startsWith("RESIZE_")) return;
        expect({ op, dtype, npu: row.dtypes.includes(dtype) }).toEqual({ op, dtype, npu: put[i].includes("npu") });
        expect({ op, ends: row.keepFloat !== undefined }).toEqual({ op, ends: put[i] === "ends" });
      });
    });
});

/** What a target says of a model, as "consequence kind". */
async function said(of: Model, name: TargetName, custom?: string[]): Promise<string[]> {
  const target = targetNamed(name, custom)!;
  const { model: read } = await reopened(of);
  return graphsFor(read, target)
    .flatMap((graph) => checkTarget(graph, target, new ConstantScanner()))
    .map(({ consequence, kind }) => `${consequence} ${kind}`);
}

/** The model with another version of its operator. */
const versioned = (of: Model, version = 1): Model => ({
  ...of,
  operatorCodes: of.operatorCodes!.map((code) => ({ ...code, version })),
});

type Quant = ReturnType<typeof quantized>;
const X = [1, 4, 4, 2];
const ACT = quantized(0.1, 3);
const INT16 = quantized(0.1, 0);

/** x → y, both of a dtype. */
const unary = (
  op: string,
  dtype: "FLOAT32" | "INT8" | "UINT8" | "INT16",
  {
    x = dtype === "INT16" ? INT16 : ACT,
    y = x,
    shape = X,
    result = shape,
    options,
    more = (graph) => graph,
    operands = ["x"],
    to = dtype,
    version,
  }: {
    x?: Quant;
    y?: Quant;
    shape?: number[];
    result?: number[];
    options?: BuiltinOptions;
    more?: (graph: GraphBuilder) => GraphBuilder;
    operands?: string[];
    to?: string;
    version?: number;
  } = {},
) =>
  versioned(
    model(["x"], ["y"], (graph) =>
      more(graph.tensor("x", shape, dtype, dtype === "FLOAT32" ? {} : x))
        .tensor("y", result, to as "INT8", to === "FLOAT32" || to === "BOOL" || to === "INT32" ? {} : y)
        .operator(op as "ADD", operands, ["y"], options),
    ),
    version,
  );

const conv = (
  w: Quant,
  values: Int8Array | Uint8Array,
  type: TensorType,
  b: Int32Array | BigInt64Array | null,
  more = {},
) =>
  ((dtype: "INT8" | "INT16" | "UINT8") =>
    unary("CONV_2D", dtype, {
      more: (graph) => {
        const made = graph.constant("w", [2, 1, 1, 2], values, { type, ...w });
        return b === null
          ? made
          : made.constant("b", [2], b, {
              type: b instanceof Int32Array ? TensorType.INT32 : TensorType.INT64,
              ...quantized(0.01, 0),
            });
      },
      operands: b === null ? ["x", "w"] : ["x", "w", "b"],
      options: { type: "Conv2DOptions", value: { padding: 1, strideW: 1, strideH: 1, ...more } },
    })) as (dtype: "INT8" | "INT16" | "UINT8") => Model;

const { INT8: INT8_TYPE, UINT8: UINT8_TYPE, INT4: INT4_TYPE } = TensorType;
const W = Int8Array.of(1, 2, 3, 4);
const FOUR = Uint8Array.of(0x21, 0x43);
const B = Int32Array.of(1, 2);
const WIDE = BigInt64Array.of(1n, 2n);
const one = quantized(0.1, 0);
const two = { quantization: { scale: Float32Array.of(0.1, 0.2), zeroPoint: BigInt64Array.of(0n, 0n) } } as Quant;
const TENSOR = (scale: number, zeroPoint: number) => quantized(scale, zeroPoint);

const pool = (more = {}): BuiltinOptions => ({
  type: "Pool2DOptions",
  value: { padding: 1, strideW: 1, strideH: 1, filterWidth: 1, filterHeight: 1, fusedActivationFunction: 0, ...more },
});

type Row = [what: string, target: TargetName, of: Model, expected: string[]];

const int8conv = conv(two, W, INT8_TYPE, B)("INT8");
const RULES: Row[] = [
  // What is sound.
  ["an int8 convolution", "litert", int8conv, []],
  ["an int8 convolution", "tflm", int8conv, []],
  ["an int8 convolution", "ethos-u", int8conv, []],
  ["an int8 convolution", "edgetpu", int8conv, []],
  ["a float one", "litert", unary("SIN", "FLOAT32"), []],
  ["one with 16 bits", "litert", conv(two, W, INT8_TYPE, WIDE)("INT16"), []],
  // LiteRT's kernels.
  ["an int8 SIN", "litert", unary("SIN", "INT8"), ["refused with int8"]],
  ["an int16 ELU", "litert", unary("ELU", "INT16"), ["refused with int16"]],
  ["an int8 NEG", "litert", unary("NEG", "INT8"), ["wrong with int8"]],
  [
    "uint8 weights per channel",
    "litert",
    conv(two, Uint8Array.from(W), UINT8_TYPE, B)("UINT8"),
    ["refused per channel"],
  ],
  ["uint8 weights per tensor", "litert", conv(one, Uint8Array.from(W), UINT8_TYPE, B)("UINT8"), []],
  [
    "uint8 weights with int8",
    "litert",
    conv(one, Uint8Array.from(W), UINT8_TYPE, B)("INT8"),
    ["refused with uint8 weights"],
  ],
  [
    "asymmetric weights",
    "litert",
    conv(quantized(0.1, 3), W, INT8_TYPE, B)("INT8"),
    ["refused with asymmetric weights"],
  ],
  [
    "a convolution without bias",
    "litert",
    conv(one, W, INT8_TYPE, null)("INT8"),
    ["refused with fewer than 3 operands"],
  ],
  ["an int64 bias with int8", "litert", conv(one, W, INT8_TYPE, WIDE)("INT8"), ["refused with a int64 bias"]],
  ["int16 with a zero point", "litert", unary("RELU", "INT16", { x: ACT }), ["refused with an asymmetric int16"]],
  [
    "a LOGISTIC of another scale",
    "litert",
    unary("LOGISTIC", "INT8"),
    ["refused with parameters that are not its own"],
  ],
  ["a LOGISTIC as it should be", "litert", unary("LOGISTIC", "INT8", { y: TENSOR(1 / 256, -128) }), []],
  [
    "MAX_POOL_2D that changes scale",
    "litert",
    unary("MAX_POOL_2D", "INT8", { y: TENSOR(0.2, 3), options: pool() }),
    ["wrong whose parameters are not their operand's"],
  ],
  [
    "EXPAND_DIMS that changes scale",
    "litert",
    unary("EXPAND_DIMS", "INT8", { y: TENSOR(0.2, 3) }),
    ["refused whose parameters are not their operand's"],
  ],
  ["an RSQRT that may be negative", "litert", unary("RSQRT", "INT8"), ["refused whose operand may be negative"]],
  ["an RSQRT from 0 on", "litert", unary("RSQRT", "INT8", { x: TENSOR(0.1, -128) }), []],
  ["int16 to uint8", "litert", unary("QUANTIZE", "INT16", { to: "UINT8", y: ACT }), ["refused from int16 to uint8"]],
  ["a RELU with two scales", "litert", unary("RELU", "INT8", { x: two, y: ACT }), ["wrong with several scales"]],
  [
    "a CONCATENATION with a RELU",
    "litert",
    unary("CONCATENATION", "INT8", {
      options: { type: "ConcatenationOptions", value: { axis: 0, fusedActivationFunction: 1 } },
    }),
    ["refused with a fused RELU"],
  ],
  [
    "a version that is not registered",
    "litert",
    unary("RELU", "INT8", { version: 4 }),
    ["refused of a version above 3"],
  ],
  ["one that is", "litert", unary("RELU", "INT8", { version: 3 }), []],
  ["a version of later runtimes", "litert-portable", unary("EXP", "INT8", { version: 2 }), ["refused with int8"]],
  ["int4 weights", "litert", conv(one, FOUR, INT4_TYPE, B)("INT8"), []],
  ["int4 weights", "litert-portable", conv(one, FOUR, INT4_TYPE, B)("INT8"), ["refused with int4 weights"]],
  // LiteRT for Microcontrollers.
  ["an operator that it has not", "tflm", unary("GELU", "INT8"), ["refused without a kernel"]],
  [
    "GATHER of int16",
    "tflm",
    unary("GATHER", "INT16", {
      more: (g) => g.constant("i", [1], Int32Array.of(0)),
      operands: ["x", "i"],
      result: [1, 4, 4, 2],
    }),
    ["refused with int16"],
  ],
  ["EXP of int8", "tflm", unary("EXP", "INT8"), ["refused with int8"]],
  ["an int8 ELU", "tflm", unary("ELU", "INT8"), []],
  ["uint8 inside", "tflm", unary("RELU", "UINT8"), ["refused with uint8"]],
  ["uint8 at the border", "tflm", unary("QUANTIZE", "UINT8", { to: "INT8" }), []],
  [
    "a pool whose scales differ by more than a millionth",
    "tflm",
    unary("AVERAGE_POOL_2D", "INT8", { y: TENSOR(0.10001, 3), options: pool() }),
    ["refused whose parameters are not their operand's"],
  ],
  ["by less", "tflm", unary("AVERAGE_POOL_2D", "INT8", { y: TENSOR(0.1000002, 3), options: pool() }), []],
  ["int4 weights", "tflm", conv(two, FOUR, INT4_TYPE, B)("INT8"), []],
  ["int32 bias with 16 bits", "tflm", conv(one, W, INT8_TYPE, B)("INT16"), []],
  [
    "six dimensions",
    "tflm",
    unary("TRANSPOSE", "INT8", {
      shape: [1, 1, 1, 1, 2, 2],
      more: (g) => g.constant("p", [6], Int32Array.of(0, 1, 2, 3, 5, 4)),
      operands: ["x", "p"],
    }),
    ["refused with 6 dimensions"],
  ],
  [
    "PRELU of int16",
    "tflm",
    unary("PRELU", "INT16", {
      more: (g) => g.constant("a", [2], new Uint16Array(2).fill(1), { type: TensorType.INT16, ...INT16 }),
      operands: ["x", "a"],
    }),
    ["refused with int16"],
  ],
  // Vela: what it does not take runs on the CPU.
  [
    "a LESS, at which it ends",
    "ethos-u",
    unary("LESS", "INT8", { to: "BOOL", operands: ["x", "x"] }),
    ["refused that is quantized"],
  ],
  [
    "a stride of 4",
    "ethos-u",
    unary("MAX_POOL_2D", "INT8", {
      shape: [1, 8, 8, 2],
      result: [1, 2, 2, 2],
      options: pool({ padding: 0, strideH: 4, strideW: 4 }),
    }),
    ["on the CPU with stride height 4"],
  ],
  [
    "an average of 9 rows",
    "ethos-u",
    unary("AVERAGE_POOL_2D", "INT8", {
      shape: [1, 9, 9, 2],
      options: pool({ padding: 0, filterHeight: 9, filterWidth: 9 }),
    }),
    ["on the CPU with kernel height 9"],
  ],
  [
    "the same without padding",
    "ethos-u",
    unary("AVERAGE_POOL_2D", "INT8", {
      shape: [1, 9, 9, 2],
      result: [1, 1, 1, 2],
      options: pool({ filterHeight: 9, filterWidth: 9 }),
    }),
    [],
  ],
  [
    "DEPTH_TO_SPACE",
    "ethos-u",
    unary("DEPTH_TO_SPACE", "INT8", { shape: [1, 2, 2, 8], result: [1, 4, 4, 2] }),
    ["on the CPU without a kernel"],
  ],
  ["a float operator", "ethos-u", unary("SIN", "FLOAT32"), ["on the CPU without a kernel"]],
  [
    "three times as large",
    "ethos-u",
    unary("RESIZE_BILINEAR", "INT8", {
      result: [1, 12, 12, 2],
      more: (g) => g.constant("s", [2], Int32Array.of(12, 12)),
      operands: ["x", "s"],
    }),
    ["on the CPU with enlargement 3"],
  ],
  ["int4 weights", "ethos-u", conv(one, FOUR, INT4_TYPE, B)("INT8"), ["on the CPU with int4 weights"]],
  // The Edge TPU.
  ["QUANTIZE of version 3", "edgetpu", unary("QUANTIZE", "INT8", { version: 3 }), ["refused of a version above 2"]],
  ["QUANTIZE of version 2", "edgetpu", unary("QUANTIZE", "INT8", { version: 2 }), []],
  [
    "a pool with a RELU",
    "edgetpu",
    unary("MAX_POOL_2D", "INT8", { options: pool({ fusedActivationFunction: 1 }) }),
    ["on the CPU with a fused RELU"],
  ],
  [
    "four dimensions above 1",
    "edgetpu",
    unary("RELU", "INT8", { shape: [2, 4, 4, 2] }),
    ["on the CPU with dimensions above 1 beside the last three 1"],
  ],
];

describe("check", () => {
  for (const [what, name, of, expected] of RULES)
    test(`${name}: ${what}`, async () => expect(await said(of, name)).toEqual(expected));

  test("a custom operator, and a person who says that the runtime has it", async () => {
    const of = model(["x"], ["y"], (graph) =>
      graph.tensor("x", X).tensor("y", X).operator("CUSTOM", ["x"], ["y"], undefined, "Mine"),
    );
    expect(await said(of, "litert")).toEqual(["refused which is custom"]);
    expect(await said(of, "litert", ["Other"])).toEqual(["refused which is custom"]);
    expect(await said(of, "litert", ["Mine"])).toEqual([]);
    expect(await said(of, "litert", ["all"])).toEqual([]);
    expect(await said(of, "ethos-u", ["Mine"])).toEqual(["on the CPU without a kernel"]);
  });

  test("weights of −128 are told for tflm, and what the CPU runs in one line", async () => {
    const of = conv(one, Int8Array.of(-128, 2, 3, 4), INT8_TYPE, B)("INT8");
    const { model: read } = await reopened(of);
    const remarks = (target: Target) =>
      graphsFor(read, target).flatMap((graph) => remarksOn(graph, target, new ConstantScanner()));
    expect(remarks(TARGETS.tflm)).toEqual([
      "CONV_2D: has weights of −128, and its optimized kernels count on weights from −127 on",
    ]);
    expect(remarks(TARGETS.litert)).toEqual([]);
    const { model: deep } = await reopened(unary("DEPTH_TO_SPACE", "INT8", { shape: [1, 2, 2, 8], result: X }));
    const target = TARGETS["ethos-u"];
    expect(onTheCpu({ graphs: graphsFor(deep, target), scanner: new ConstantScanner() }, target)).toBe(
      "1 DEPTH_TO_SPACE without a kernel: on the CPU ('minmaxq check --target ethos-u' says why)",
    );
  });
});
