/**
 * Operator versions: LiteRT's conditions, row by row, on models of one operator. Numbers are those of docs' facts (op_version.cc,
 * runtime_version.cc and register.cc of LiteRT 2.3), typed here from them; no case reads the table.
 */
import { expect, test } from "bun:test";
import { factsOf } from "../../src/graph/facts.ts";
import { importGraph } from "../../src/graph/import.ts";
import type { BuiltinOperator, BuiltinOptions, Tensor } from "../../src/model/index.ts";
import { SAFE_OPTIONS } from "../../src/rules/safe-options.ts";
import { highestVersion, laterRuntime, leastRuntime, neededVersion, VERSIONS } from "../../src/rules/versions.ts";
import { model, quantized, quantizedAs } from "../helpers/models.ts";

type Kind = keyof typeof BuiltinOperator;
type TypeName = Parameters<typeof quantizedAs>[0];

const TYPES: Record<string, TypeName> = {
  f: "FLOAT32",
  f16: "FLOAT16",
  bf16: "BFLOAT16",
  f64: "FLOAT64",
  c: "COMPLEX64",
  i2: "INT2",
  i4: "INT4",
  u4: "UINT4",
  i8: "INT8",
  u8: "UINT8",
  i16: "INT16",
  u16: "UINT16",
  i32: "INT32",
  u32: "UINT32",
  i64: "INT64",
  b: "BOOL",
  s: "STRING",
};
const SHAPE = [2, 4, 4, 2];
const SCALED = new Set(["i2", "i4", "u4", "i8", "u8", "i16"]);

/**
 * "i8" quantized per tensor, "i8/3" per channel along axis 3, "i8!" without a scale, "i8=0.5" with that scale, "i8(1,2)" of that shape,
 * "i8~" sparse. Shape [2, 4, 4, 2] and scale 0.25 otherwise.
 */
function tensorOf(word: string): { type: TypeName; shape: number[]; more: Partial<Tensor> } {
  const [, name, dims, mark] = /^(\w+?)(?:\(([\d,]*)\))?([!~]|[/=].+)?$/.exec(word)!;
  const type = TYPES[name!]!;
  const shape = dims === undefined ? SHAPE : dims.split(",").map(Number);
  if (mark === "~") return { type, shape, more: { ...quantized(0.25, 0), sparsity: {} } };
  if (mark?.startsWith("/")) {
    const axis = Number(mark.slice(1));
    const count = shape[axis]!;
    return { type, shape, more: quantizedAs(type, new Array(count).fill(0.25), new Array(count).fill(0), axis) };
  }
  if (mark === "!" || !SCALED.has(name!)) return { type, shape, more: {} };
  return { type, shape, more: quantized(mark ? Number(mark.slice(1)) : 0.25, 0) };
}

/** The operator of a model: "operands -> results", "-" for an absent operand. */
function operatorOf(op: Kind, words: string, options?: BuiltinOptions) {
  const [left, right] = words.split("->").map((side) => side.trim().split(" ")) as [string[], string[]];
  const operands = left.map((word, i) => (word === "-" ? "" : `x${i}`));
  const results = right.map((_, i) => `y${i}`);
  const made = model(operands.filter(Boolean), results, (graph) => {
    left.forEach((word, i) => {
      if (word === "-") return;
      const { type, shape, more } = tensorOf(word);
      graph.tensor(`x${i}`, shape, type, more);
    });
    right.forEach((word, i) => {
      const { type, shape, more } = tensorOf(word);
      graph.tensor(`y${i}`, shape, type, more);
    });
    graph.operator(op, operands, results, options);
  });
  const graph = importGraph(made, 0);
  return graph.nodes.find((node) => node.kind === "operator")!;
}

const conv = (value: object): BuiltinOptions => ({ type: "Conv2DOptions", value });
const depthwise = (value: object): BuiltinOptions => ({ type: "DepthwiseConv2DOptions", value });
const dense = (value: object): BuiltinOptions => ({ type: "FullyConnectedOptions", value });
const transposed = (value: object): BuiltinOptions => ({ type: "TransposeConvOptions", value });
const INT32_BIAS = { quantizedBiasType: 2 } as const;
const ASYMMETRIC = { asymmetricQuantizeInputs: true } as const;
const far = "(2,1,1,1,2)";
const wide = "(1,2,1,1,2)";

type Case = [op: Kind, words: string, version: number, runtime: string, options?: BuiltinOptions];

const CASES: Case[] = [
  ["CONV_2D", "i16 i8/0 i32 -> i16", 8, "2.15", conv(INT32_BIAS)],
  ["CONV_2D", "i8(1,4,4,4) i8/0 i32 -> i8", 6, "2.9"],
  ["CONV_2D", "f(1,4,4,4) f f -> f", 6, "2.9"],
  ["CONV_2D", "i8 i8/0 i32 -> i8", 3, "1.14"],
  ["CONV_2D", "i8 i8 i32 -> i8", 3, "1.14", conv({})],
  ["CONV_2D", "i8 i4/0 i32 -> i8", 7, "2.11"],
  ["CONV_2D", "f i8/0 f -> f", 5, "2.4"],
  ["CONV_2D", "f i8 f -> f", 2, "1.14"],
  ["CONV_2D", "f f f -> f", 1, "1.5"],
  ["CONV_2D", "i16 i8/0 i64 -> i16", 1, "1.5", conv({})],
  ["DEPTHWISE_CONV_2D", "f i8/3 f -> f", 6, "2.3"],
  ["DEPTHWISE_CONV_2D", "f i8 f -> f", 4, "2.2"],
  ["DEPTHWISE_CONV_2D", "i8 i8/3 i32 -> i8", 3, "1.14", depthwise({ dilationWFactor: 2 })],
  ["DEPTHWISE_CONV_2D", "i8 i4/3 i32 -> i8", 7, "2.11"],
  ["DEPTHWISE_CONV_2D", "f f f -> f", 2, "1.12", depthwise({ dilationWFactor: 2 })],
  ["DEPTHWISE_CONV_2D", "i16 i8/3 i64 -> i16", 2, "1.12", depthwise({ dilationHFactor: 2 })],
  ["DEPTHWISE_CONV_2D", "i16 i8/3 i64 -> i16", 1, "1.5", depthwise({ dilationHFactor: 1, dilationWFactor: 1 })],
  ["FULLY_CONNECTED", "f(1,4) i2(3,4)/0 -> f(1,3)", 14, "2.21"],
  ["FULLY_CONNECTED", "i16(1,4) i4(3,4)/0 i64(3) -> i16(1,3)", 13, "2.18", dense(INT32_BIAS)],
  ["FULLY_CONNECTED", "f(1,4) i8(3,4)/0 -> f(1,3)", 12, "2.17"],
  ["FULLY_CONNECTED", "i16(1,4) i8(3,4) i32(3) -> i16(1,3)", 11, "2.15", dense(INT32_BIAS)],
  ["FULLY_CONNECTED", "f(1,4) i8(3,4)~ f(3) -> f(1,3)", 8, "2.3"],
  ["FULLY_CONNECTED", "i16(1,4) i16(3,4) i64(3) -> i16(1,3)", 7, "2.3"],
  ["FULLY_CONNECTED", "i8(1,4) i8(3,4)/0 -> i8(1,3)", 6, "2.1", dense({ keepNumDims: true })],
  ["FULLY_CONNECTED", "i8(1,4) i8(3,4)/0 i32(3) -> i8(1,3)", 5, "2.0", dense({ keepNumDims: true })],
  ["FULLY_CONNECTED", "i8(1,4) i8(3,4)/0 i32(3) -> i8(1,3)", 4, "1.14", dense({ keepNumDims: false })],
  // An absent bias is an operand all the same.
  ["FULLY_CONNECTED", "i8(1,4) i8(3,4)/0 - -> i8(1,3)", 4, "1.14"],
  ["FULLY_CONNECTED", "i8(1,4) i4(3,4)/0 i32(3) -> i8(1,3)", 10, "2.11"],
  ["FULLY_CONNECTED", "f(1,4) i8(3,4) f(3) -> f(1,3)", 9, "2.3", dense(ASYMMETRIC)],
  ["FULLY_CONNECTED", "f(1,4) i8(3,4) f(3) -> f(1,3)", 3, "1.14"],
  ["FULLY_CONNECTED", "u8(1,4) u8(3,4) i32(3) -> u8(1,3)", 2, "1.10", dense({ weightsFormat: 1 })],
  ["FULLY_CONNECTED", "f(1,4) f(3,4) f(3) -> f(1,3)", 1, "1.5", dense({})],
  ["TRANSPOSE_CONV", "i32(4) i8/0 i16 i32 -> i16", 5, "2.15", transposed(INT32_BIAS)],
  ["TRANSPOSE_CONV", "i32(4) i8/0 i8 i32 -> i8", 4, "2.13", transposed({ fusedActivationFunction: 1 })],
  ["TRANSPOSE_CONV", "i32(4) i8/0 i8 i32 -> i8", 3, "2.3", transposed({ fusedActivationFunction: 0 })],
  ["TRANSPOSE_CONV", "i32(4) i8/0 i16 i64 -> i16", 3, "2.3", transposed({})],
  ["TRANSPOSE_CONV", "i32(4) i8/0 i8 -> i8", 2, "2.2"],
  ["TRANSPOSE_CONV", "i32(4) i8/0 i8 - -> i8", 2, "2.2"],
  ["TRANSPOSE_CONV", "i32(4) f f -> f", 1, "1.9"],
  ["BATCH_MATMUL", "i16 i16 -> i16", 3, "2.4"],
  ["BATCH_MATMUL", "i8 i8 -> i8", 2, "2.3"],
  ["BATCH_MATMUL", "f i8 -> f", 4, "2.5", { type: "BatchMatMulOptions", value: ASYMMETRIC }],
  ["BATCH_MATMUL", "f i8 -> f", 1, "2.3", { type: "BatchMatMulOptions", value: {} }],
  ["EMBEDDING_LOOKUP", "i32(2) i4(8,4) -> f(2,4)", 4, "2.18"],
  ["EMBEDDING_LOOKUP", "i32(2) i8(8,4)/0 -> f(2,4)", 4, "2.18"],
  ["EMBEDDING_LOOKUP", "i32(2) i2(8,4) -> f(2,4)", 5, "2.21"],
  ["EMBEDDING_LOOKUP", "i32(2) i8(8,4) -> f(2,4)", 1, "1.13"],
  ["ADD", "i16 i16 -> i16", 3, "2.4", { type: "AddOptions", value: { potScaleInt16: false } }],
  ["ADD", "i16 i16 -> i16", 1, "1.5", { type: "AddOptions", value: {} }],
  ["ADD", "i8 i8 -> i8", 2, "1.14"],
  ["ADD", "i64 i64 -> i64", 4, "2.6"],
  ["ADD", "i16! i16! -> i16!", 5, "2.13"],
  ["ADD", "f16 f16 -> f16", 6, "2.23"],
  ["SUB", "i16 i16 -> i16", 5, "2.4", { type: "SubOptions", value: { potScaleInt16: false } }],
  ["SUB", "i64 i64 -> i64", 4, "2.4"],
  ["SUB", `i8${far} i8${wide} -> i8`, 3, "2.3"],
  ["SUB", "i8 i8 -> i8", 2, "1.14"],
  ["MUL", "i16 i16 -> i16", 4, "2.3"],
  ["MUL", "i8=0.5 i8=0.5 -> i8=0.25", 3, "1.15"],
  ["MUL", "u8=2 u8=0.5 -> u8=0.5", 3, "1.15"],
  ["MUL", "i8=0.5 i8=0.5 -> i8=0.26", 2, "1.14"],
  ["MUL", "i16! i16! -> i16!", 7, "2.13"],
  ["MUL", "i64 i64 -> i64", 5, "2.6"],
  ["MUL", "c c -> c", 6, "2.11"],
  ["MUL", "f16 f16 -> f16", 8, "2.23"],
  ["DIV", `f${far} f${wide} -> f`, 2, "2.3"],
  ["DIV", `f${far} f${far} -> f${far}`, 1, "1.6"],
  ["SQUARED_DIFFERENCE", "i8 i8 -> i8", 2, "2.5"],
  ["SUM", "i8 i32(1) -> i8", 2, "1.15"],
  ["LOG_SOFTMAX", "i8 -> i8", 2, "1.14"],
  ["GREATER", "i8 i8 -> b", 2, "1.14"],
  ["LESS_EQUAL", "i8 i8 -> b", 2, "1.14"],
  ["SPACE_TO_DEPTH", "i8 -> i8", 2, "1.14"],
  ["DEPTH_TO_SPACE", "i8 -> i8", 2, "2.5"],
  ...(["MAXIMUM", "MINIMUM"] as const).flatMap((op): Case[] => [
    [op, "i16 i16 -> i16", 4, "2.3"],
    [op, `i8${far} i8${wide} -> i8`, 3, "2.3"],
    [op, "i8 i8 -> i8", 2, "1.14"],
  ]),
  ...(["MAX_POOL_2D", "AVERAGE_POOL_2D", "LOGISTIC", "TANH", "SOFTMAX"] as const).flatMap((op): Case[] => [
    [op, "i16 -> i16", 3, "2.3"],
    [op, "i8 -> i8", 2, "1.14"],
  ]),
  ["SOFTMAX", "f16 -> f16", 4, "2.23"],
  ["RELU", "i16 -> i16", 3, "2.5"],
  ["RELU", "i8 -> i8", 2, "2.1"],
  ["RELU", "u8 -> u8", 2, "2.1"],
  ...(["RELU6", "REDUCE_MAX", "REDUCE_MIN"] as const).flatMap((op): Case[] => [
    [op, "i16 -> i16", 3, "2.5"],
    [op, "i8 -> i8", 2, "1.14"],
  ]),
  ["MEAN", "i16 i32(1) -> i16", 3, "2.4"],
  ["MEAN", "i8 i32(1) -> i8", 2, "1.14"],
  ["MIRROR_PAD", "i16 i32(4,2) -> i16", 3, "2.12"],
  ["MIRROR_PAD", "i8 i32(4,2) -> i8", 2, "2.3"],
  ["RSQRT", "i16 -> i16", 3, "2.15"],
  ["RSQRT", "i8 -> i8", 2, "2.5"],
  ["LEAKY_RELU", "i16 -> i16", 2, "2.3"],
  ["LEAKY_RELU", "i8 -> i8", 1, "1.13.1"],
  ...(
    [
      ["PRELU", "1.8"],
      ["ELU", "1.14"],
      ["HARD_SWISH", "1.15"],
      ["RELU_N1_TO_1", "1.5"],
      ["RELU_0_TO_1", "2.10"],
      ["RESHAPE", "1.5"],
      ["EXPAND_DIMS", "1.10"],
      ["NEG", "1.9"],
      ["SCATTER_ND", "2.1"],
      ["ONE_HOT", "1.11"],
      ["REVERSE_SEQUENCE", "1.14"],
    ] as const
  ).map(([op, runtime]): Case => [op, "i8 i8 i8 -> i8", 1, runtime]),
  ["GELU", "i8 -> i8", 2, "2.9"],
  ["GELU", "u8 -> u8", 2, "2.9"],
  ["GELU", "i16 -> i16", 1, "2.9"],
  ["ABS", "i16 -> i16", 3, "2.5"],
  ["ABS", "i16! -> i16!", 4, "2.6"],
  ["ABS", "i8 -> i8", 2, "2.4"],
  ["ABS", "u8 -> u8", 2, "2.4"],
  ["ABS", "i32 -> i32", 5, "2.12"],
  ...(
    [
      ["EXP", "2.12"],
      ["LOG", "2.15"],
      ["SQRT", "2.21"],
      ["REDUCE_PROD", "2.6"],
    ] as const
  ).flatMap(([op, runtime]): Case[] => [
    [op, "i8 -> i8", 2, runtime],
    [op, "i16 -> i16", 2, runtime],
  ]),
  ["L2_NORMALIZATION", "i8 -> i8", 2, "1.14"],
  ["CONCATENATION", "i4 i4 -> i4", 5, "2.21"],
  ["CONCATENATION", "i16 i16 -> i16", 3, "2.3"],
  ["CONCATENATION", "i8 i8 -> i8", 2, "1.14"],
  ["CONCATENATION", "u32 u32 -> u32", 4, "2.14"],
  ["CONCATENATION", "f16 f16 -> f16", 6, "2.23"],
  ["PACK", "i8 i8 -> i8", 2, "1.14"],
  ["PACK", "i16 i16 -> i16", 3, "2.3"],
  ["PACK", "u32 u32 -> u32", 4, "2.13"],
  ["UNPACK", "i8 -> i8 i8", 2, "1.14"],
  ["UNPACK", "u8 -> u8 u8", 2, "1.14"],
  ["UNPACK", "i16 -> i16 i16", 4, "2.3"],
  ["UNPACK", "b -> b b", 3, "2.2"],
  ["UNPACK", "f16 -> f16 f16", 5, "2.22"],
  ["SPLIT", "i32() i16 -> i16 i16", 4, "2.3"],
  ["SPLIT", "i32() i32 -> i32 i32", 3, "1.14"],
  ["SPLIT", "i32() i8 -> i8 i8", 2, "1.14"],
  ["SPLIT_V", "i8 i32(2) i32() -> i8 i8", 2, "2.3"],
  ["SPLIT_V", "i16 i32(2) i32() -> i16 i16", 1, "1.13.1"],
  ...(["PAD", "PADV2"] as const).flatMap((op): Case[] => [
    [op, `i8${far} i32(5,2) -> i8${far}`, 4, "2.6"],
    [op, "i16 i32(4,2) -> i16", 3, "2.4"],
    [op, "i8 i32(4,2) -> i8", 2, "1.14"],
    [op, "b i32(4,2) -> b", 5, "2.20"],
  ]),
  ["SLICE", "i4 i32(4) i32(4) -> i4", 7, "2.21"],
  ["SLICE", `i16${far} i32(5) i32(5) -> i16${far}`, 5, "2.5"],
  ["SLICE", "i16 i32(4) i32(4) -> i16", 4, "2.4"],
  ["SLICE", "i8 i32(4) i32(4) -> i8", 2, "1.14"],
  ["SLICE", "f16 i32(4) i32(4) -> f16", 8, "2.23"],
  ["SLICE", "u32 i32(4) i32(4) -> u32", 6, "2.14"],
  ["SLICE", "s i32(4) i32(4) -> s", 3, "1.14"],
  [
    "STRIDED_SLICE",
    "i8 i32(4) i32(4) i32(4) -> i8",
    8,
    "2.14",
    { type: "StridedSliceOptions", value: { offset: true } },
  ],
  [
    "STRIDED_SLICE",
    "i8 i32(4) i32(4) i32(4) -> i8",
    6,
    "2.6",
    { type: "StridedSliceOptions", value: { ellipsisMask: 1 } },
  ],
  [
    "STRIDED_SLICE",
    "i8 i32(4) i32(4) i32(4) -> i8",
    6,
    "2.6",
    { type: "StridedSliceOptions", value: { newAxisMask: 2 } },
  ],
  ["STRIDED_SLICE", `i8${far} i32(5) i32(5) i32(5) -> i8`, 4, "2.2"],
  [
    "STRIDED_SLICE",
    "i8 i32(4) i32(4) i32(4) -> i8",
    2,
    "1.14",
    { type: "StridedSliceOptions", value: { beginMask: 1 } },
  ],
  ["STRIDED_SLICE", "i16 i32(4) i32(4) i32(4) -> i16", 1, "1.6"],
  ["STRIDED_SLICE", "u32 i32(4) i32(4) i32(4) -> u32", 7, "2.14"],
  ["STRIDED_SLICE", "s i32(4) i32(4) i32(4) -> s", 5, "2.5"],
  ["STRIDED_SLICE", "b i32(4) i32(4) i32(4) -> b", 3, "2.1"],
  ["TRANSPOSE", "i8(1,1,1,1,1,1,2) i32(7) -> i8", 8, "2.22"],
  ["TRANSPOSE", "i4 i32(4) -> i4", 7, "2.14.4"],
  ["TRANSPOSE", "i16(1,1,1,1,1,2) i32(6) -> i16", 6, "2.12"],
  ["TRANSPOSE", "i16 i32(4) -> i16", 5, "2.4"],
  ["TRANSPOSE", `i8${far} i32(5) -> i8`, 4, "2.3"],
  ["TRANSPOSE", "i8 i32(4) -> i8", 2, "1.14"],
  ["TRANSPOSE", "f16 i32(4) -> f16", 9, "2.23"],
  ["TRANSPOSE", "b i32(4) -> b", 3, "1.15"],
  ["GATHER", "i4 i32(2) -> i4", 7, "2.15"],
  ["GATHER", "i8 i16(2)! -> i8", 6, "2.13"],
  ["GATHER", "i8 i32(2) -> i8", 5, "2.5", { type: "GatherOptions", value: { batchDims: 1 } }],
  ["GATHER", "i16 i32(2) -> i16", 4, "2.4", { type: "GatherOptions", value: { axis: 1 } }],
  ["GATHER", "i8 i32(2) -> i8", 2, "1.14"],
  ["GATHER", "b i32(2) -> b", 3, "1.15"],
  ["GATHER_ND", "i8 i16(2)! -> i8", 4, "2.13"],
  ["GATHER_ND", "i16 i32(2) -> i16", 3, "2.5"],
  ["GATHER_ND", "i8 i32(2) -> i8", 1, "1.14"],
  ["GATHER_ND", "b i32(2) -> b", 5, "2.16"],
  ["GATHER_ND", "s i32(2) -> s", 2, "2.3"],
  [
    "RESIZE_BILINEAR",
    "i16 i32(2) -> i16",
    4,
    "2.5",
    { type: "ResizeBilinearOptions", value: { halfPixelCenters: true } },
  ],
  [
    "RESIZE_BILINEAR",
    "i8 i32(2) -> i8",
    3,
    "2.2",
    { type: "ResizeBilinearOptions", value: { halfPixelCenters: true } },
  ],
  ["RESIZE_BILINEAR", "i8 i32(2) -> i8", 2, "1.14", { type: "ResizeBilinearOptions", value: { alignCorners: true } }],
  ["RESIZE_NEAREST_NEIGHBOR", "i16 i32(2) -> i16", 4, "2.4"],
  [
    "RESIZE_NEAREST_NEIGHBOR",
    "i8 i32(2) -> i8",
    3,
    "2.3",
    { type: "ResizeNearestNeighborOptions", value: { halfPixelCenters: true } },
  ],
  [
    "RESIZE_NEAREST_NEIGHBOR",
    "i8 i32(2) -> i8",
    3,
    "2.3",
    { type: "ResizeNearestNeighborOptions", value: { alignCorners: true } },
  ],
  ["RESIZE_NEAREST_NEIGHBOR", "i8 i32(2) -> i8", 2, "1.14"],
  ["TILE", "i8 i32(4) -> i8", 3, "2.8"],
  ["TILE", "s i32(4) -> s", 2, "2.2"],
  ["TILE", "f i32(4) -> f", 1, "1.10.1"],
  ["REVERSE_V2", "i8 i32(1) -> i8", 3, "2.5"],
  ["REVERSE_V2", "b i32(1) -> b", 2, "2.2"],
  ["FILL", "i32(4) i8() -> i8", 3, "2.5"],
  ["FILL", "i32(4) i16() -> i16", 3, "2.5"],
  ["FILL", "i32(4) b() -> b", 2, "2.3"],
  ["FILL", "i32(4) f16() -> f16", 4, "2.12"],
  ["BROADCAST_TO", "i8 i32(4) -> i8", 3, "2.5"],
  ["BROADCAST_TO", "i16 i32(4) -> i16", 3, "2.5"],
  ["BROADCAST_TO", "f i32(4) -> f", 2, "2.5"],
  ...(["BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND"] as const).flatMap((op): Case[] => [
    [op, "i16 i32(2) i32(2,2) -> i16", 4, "2.12"],
    [op, "i8(4,4,2) i32(1) i32(1,2) -> i8", 3, "2.3"],
    [op, "i8 i32(2) i32(2,2) -> i8", 2, "1.14"],
  ]),
  ["DYNAMIC_UPDATE_SLICE", "i4 i4 i32(4) -> i4", 5, "2.21"],
  ["DYNAMIC_UPDATE_SLICE", "i16 i16 i32(4) -> i16", 4, "2.20"],
  ["DYNAMIC_UPDATE_SLICE", "f16 f16 i32(4) -> f16", 3, "2.19"],
  ["DYNAMIC_UPDATE_SLICE", "i8 i8 i64(4) -> i8", 2, "2.17"],
  ["DYNAMIC_UPDATE_SLICE", "i8 i8 i32(4) -> i8", 1, "2.9"],
  ["DYNAMIC_UPDATE_SLICE", "bf16 bf16 i32(4) -> bf16", 6, "2.22"],
  ["SELECT", `b f${far} f -> f${far}`, 3, "2.12"],
  ["SELECT", "i8! f f -> f", 2, "1.14"],
  ["SELECT", "b i8 i8 -> i8", 1, "1.14"],
  ["SELECT", "u32 f f -> f", 4, "2.12"],
  ["SELECT_V2", "b i8 i8 -> i8", 1, "2.2"],
  ["SELECT_V2", "u32 f f -> f", 2, "2.12"],
  ["ARG_MAX", "i8 i32() -> i32", 2, "1.14"],
  ["ARG_MIN", "i8 i32() -> i32", 2, "1.14"],
  ["ARG_MAX", "b i32() -> i32", 3, "2.9"],
  ["ARG_MIN", "b i32() -> i32", 3, "2.9"],
  ["TOPK_V2", "i16 i32() -> i16 i32", 3, "2.13"],
  ["TOPK_V2", "i8 i32() -> i8 i32", 2, "1.14"],
  ["EQUAL", "i16 i16 -> b", 5, "2.21"],
  ["EQUAL", "i8 i8 -> b", 2, "1.14"],
  ["EQUAL", "s s -> b", 3, "2.3"],
  ["NOT_EQUAL", "i16 i16 -> b", 4, "2.21"],
  ["NOT_EQUAL", "i8 i8 -> b", 2, "1.14"],
  ["NOT_EQUAL", "s s -> b", 3, "2.3"],
  ...(["LESS", "GREATER_EQUAL"] as const).flatMap((op): Case[] => [
    [op, "i16 i16 -> b", 3, "2.13"],
    [op, "i8 i8 -> b", 2, "1.14"],
  ]),
  ["QUANTIZE", "f -> u4", 5, "2.21"],
  ["QUANTIZE", "f -> i4", 4, "2.21"],
  ["QUANTIZE", "f -> i8/3", 3, "2.7"],
  ["QUANTIZE", "i8 -> i16", 2, "1.15"],
  ["QUANTIZE", "f -> i8", 1, "1.14"],
  ["DEQUANTIZE", "u4 -> f", 8, "2.22"],
  ["DEQUANTIZE", "i2 -> f", 7, "2.21"],
  ["DEQUANTIZE", "i4/0 -> f", 6, "2.18"],
  ["DEQUANTIZE", "i16 -> f", 3, "1.15"],
  ["DEQUANTIZE", "f16 -> f", 3, "1.15"],
  ["DEQUANTIZE", "i8/3 -> f", 5, "2.7"],
  ["DEQUANTIZE", "i8 -> f", 2, "1.14"],
  ["DEQUANTIZE", "u8 -> f", 1, "1.13.1"],
  ["CAST", "i8! -> f", 3, "2.8"],
  ["CAST", "f -> i8!", 3, "2.8"],
  ["CAST", "i2! -> f", 8, "2.21"],
  ["CAST", "bf16 -> f", 7, "2.17"],
  ["CAST", "i4! -> f", 6, "2.15"],
  ["CAST", "f -> f16", 5, "2.12"],
  ["CAST", "u16 -> f", 4, "2.9"],
  ["CAST", "u32 -> f", 2, "2.7"],
  ["LSTM", "f i8 i8 -> f", 4, "2.3", { type: "LSTMOptions", value: ASYMMETRIC }],
  ["LSTM", "f i8 i8 -> f", 3, "1.14", { type: "LSTMOptions", value: {} }],
  ["LSTM", "f f f -> f", 2, "1.10", { type: "LSTMOptions", value: { kernelType: 1 } }],
  ["LSTM", "i8 i8 i8 -> i8", 1, "1.7"],
  ["LSTM", "i16 i8 i8 -> i16", 5, ""],
  ["UNIDIRECTIONAL_SEQUENCE_LSTM", "i16 i8 i8 -> i16", 5, ""],
  [
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "f i8 i8 -> f",
    4,
    "2.12",
    { type: "UnidirectionalSequenceLSTMOptions", value: { diagonalRecurrentTensors: true } },
  ],
  [
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "f i8 i8 -> f",
    3,
    "2.3",
    { type: "UnidirectionalSequenceLSTMOptions", value: ASYMMETRIC },
  ],
  ["UNIDIRECTIONAL_SEQUENCE_LSTM", "f i8 i8 -> f", 2, "1.14"],
  [
    "BIDIRECTIONAL_SEQUENCE_LSTM",
    "f i8 i8 -> f f",
    3,
    "1.14",
    { type: "BidirectionalSequenceLSTMOptions", value: ASYMMETRIC },
  ],
  ["BIDIRECTIONAL_SEQUENCE_LSTM", "f i8 i8 -> f f", 2, "1.14"],
  ["RNN", "f i8 i8 f -> f", 3, "2.3", { type: "RNNOptions", value: ASYMMETRIC }],
  ["RNN", "f i8 i8 f -> f", 2, "1.14"],
  ["UNIDIRECTIONAL_SEQUENCE_RNN", "f i8 i8 f -> f", 3, "2.3", { type: "SequenceRNNOptions", value: ASYMMETRIC }],
  ["UNIDIRECTIONAL_SEQUENCE_RNN", "f i8 i8 f -> f", 2, "1.14"],
  [
    "BIDIRECTIONAL_SEQUENCE_RNN",
    "f i8 i8 f -> f f",
    3,
    "2.3",
    { type: "BidirectionalSequenceRNNOptions", value: ASYMMETRIC },
  ],
  ["BIDIRECTIONAL_SEQUENCE_RNN", "f i8 i8 f -> f f", 2, "1.14"],
  ["SVDF", "i8 i8 i16 i32 -> i8", 3, "2.2"],
  ["SVDF", "f i8 f -> f", 4, "2.3", { type: "SVDFOptions", value: ASYMMETRIC }],
  ["SVDF", "f i8 f -> f", 2, "1.14"],
];

/** "2.3" is written "2.3.0" in files. */
const whole = (runtime: string) => (/^\d+\.\d+$/.test(runtime) ? `${runtime}.0` : runtime);

test.each(CASES)("%s %s is version %i of %s", (...one: Case) => {
  // Not five parameters: a missing last one would be taken for a callback.
  const [op, words, version, runtime, options] = one;
  const needed = neededVersion(op, factsOf(operatorOf(op, words, options)));
  expect(needed).toBe(version);
  expect(leastRuntime(op, needed!) ?? "").toBe(whole(runtime));
});

test("every condition of the table decides some case", () => {
  const decided = new Set<unknown>();
  for (const [op, words, , , options] of CASES) {
    const facts = factsOf(operatorOf(op, words, options));
    const at = VERSIONS[op]!.rules.findIndex(([when]) => when(facts));
    if (at >= 0) decided.add(`${op} ${at}`);
  }
  const all = Object.entries(VERSIONS).flatMap(([op, { rules }]) => rules.map((_, at) => `${op} ${at}`));
  expect(all.filter((rule) => !decided.has(rule))).toEqual([]);
});

// The "max" column of the facts.
const HIGHEST: Record<string, number> = {
  CONV_2D: 8,
  DEPTHWISE_CONV_2D: 7,
  FULLY_CONNECTED: 14,
  TRANSPOSE_CONV: 5,
  BATCH_MATMUL: 4,
  EMBEDDING_LOOKUP: 5,
  ADD: 6,
  SUB: 5,
  MUL: 8,
  DIV: 2,
  SQUARED_DIFFERENCE: 2,
  SUM: 2,
  LOG_SOFTMAX: 2,
  GREATER: 2,
  LESS_EQUAL: 2,
  SPACE_TO_DEPTH: 2,
  DEPTH_TO_SPACE: 2,
  MAXIMUM: 4,
  MINIMUM: 4,
  MAX_POOL_2D: 3,
  AVERAGE_POOL_2D: 3,
  LOGISTIC: 3,
  TANH: 3,
  SOFTMAX: 4,
  RELU: 3,
  RELU6: 3,
  REDUCE_MAX: 3,
  REDUCE_MIN: 3,
  MEAN: 3,
  MIRROR_PAD: 3,
  RSQRT: 3,
  LEAKY_RELU: 2,
  PRELU: 1,
  ELU: 1,
  HARD_SWISH: 1,
  RELU_N1_TO_1: 1,
  RELU_0_TO_1: 1,
  RESHAPE: 1,
  EXPAND_DIMS: 1,
  NEG: 1,
  SCATTER_ND: 1,
  ONE_HOT: 1,
  REVERSE_SEQUENCE: 1,
  GELU: 3,
  ABS: 5,
  EXP: 2,
  LOG: 2,
  SQRT: 2,
  REDUCE_PROD: 2,
  L2_NORMALIZATION: 2,
  CONCATENATION: 7,
  PACK: 5,
  UNPACK: 6,
  SPLIT: 5,
  SPLIT_V: 3,
  PAD: 6,
  PADV2: 6,
  SLICE: 8,
  STRIDED_SLICE: 8,
  TRANSPOSE: 9,
  GATHER: 8,
  GATHER_ND: 6,
  RESIZE_BILINEAR: 4,
  RESIZE_NEAREST_NEIGHBOR: 4,
  TILE: 3,
  REVERSE_V2: 4,
  FILL: 5,
  BROADCAST_TO: 4,
  BATCH_TO_SPACE_ND: 4,
  SPACE_TO_BATCH_ND: 4,
  DYNAMIC_UPDATE_SLICE: 6,
  SELECT: 4,
  SELECT_V2: 2,
  ARG_MAX: 3,
  ARG_MIN: 3,
  TOPK_V2: 3,
  EQUAL: 5,
  NOT_EQUAL: 4,
  LESS: 3,
  GREATER_EQUAL: 3,
  QUANTIZE: 6,
  DEQUANTIZE: 9,
  CAST: 9,
  LSTM: 4,
  UNIDIRECTIONAL_SEQUENCE_LSTM: 4,
  BIDIRECTIONAL_SEQUENCE_LSTM: 3,
  RNN: 3,
  UNIDIRECTIONAL_SEQUENCE_RNN: 3,
  BIDIRECTIONAL_SEQUENCE_RNN: 3,
  SVDF: 4,
};

test("highest registered versions, and no row that the facts do not have", () => {
  expect(Object.fromEntries(Object.keys(VERSIONS).map((op) => [op, highestVersion(op)!]))).toEqual(HIGHEST);
});

test("kinds without versions of LiteRT's", () => {
  expect(neededVersion("CUSTOM", factsOf(operatorOf("ADD", "f f -> f")))).toBeUndefined();
  expect(leastRuntime("INSTANCE_NORM", 1)).toBeUndefined();
});

test("runtimes are compared by their numbers", () => {
  expect(laterRuntime("2.9.0", "2.11.0")).toBe("2.11.0");
  expect(laterRuntime("2.14.4", "2.14.0")).toBe("2.14.4");
  expect(laterRuntime("1.15.0", "2.1.0")).toBe("2.1.0");
  expect(laterRuntime("2.14", "2.14.0")).toBe("2.14.0");
});

// Facts §3.1 and §3.3: which kinds have the field, and what it has to be with int16.
test.each([
  ["ADD", "i16 i16 -> i16", undefined, { potScaleInt16: false }],
  ["SUB", "i16 i16 -> i16", undefined, { potScaleInt16: false }],
  ["ADD", "i16! i16! -> i16!", undefined, null],
  ["SUB", "i8 i8 -> i8", undefined, null],
  ["CONV_2D", "i16 i8/0 i64 -> i16", conv(INT32_BIAS), { quantizedBiasType: undefined }],
  ["CONV_2D", "i16 i8/0 i32 -> i16", conv(INT32_BIAS), null],
  ["CONV_2D", "i16 i8/0 i64 -> i16", conv({}), null],
  ["FULLY_CONNECTED", "i16 i8/0 i64 -> i16", dense(INT32_BIAS), { quantizedBiasType: undefined }],
  ["TRANSPOSE_CONV", "i32 i8/0 i16 i64 -> i16", transposed(INT32_BIAS), { quantizedBiasType: undefined }],
] as [Kind, string, BuiltinOptions | undefined, object | null][])(
  "safe options: %s %s",
  (op, words, options, expected) => {
    const safe = SAFE_OPTIONS[op]!;
    const holds = safe.when(factsOf(operatorOf(op, words, options)));
    expect(holds ? { [safe.name]: safe.value } : null).toEqual(expected as never);
  },
);
