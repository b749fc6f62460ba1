/** Every operator of the table in a small model that LiteRT can run. */
import type { BuiltinOperator, BuiltinOptions, Model, TensorType } from "../../src/model/index.ts";
import { model, recorded } from "../helpers/models.ts";
import { floatRecords } from "./support.ts";

export interface Row {
  /** Shapes of float inputs; one of [1, 4, 4, 2] by default. */
  inputs?: number[][];
  /** Constants behind the inputs: INT32 lists as vectors, a number as scalar, shapes as float32 values. */
  constants?: (number[] | number | { shape: number[] } | { bool: number[] })[];
  /** Order of operands: "x0" inputs, "c0" constants; inputs then constants by default. */
  operands?: string[];
  /** Results: shape, and type where it is not FLOAT32. */
  results?: (number[] | { shape: number[]; type: keyof typeof TensorType })[];
  options?: BuiltinOptions;
  /** Least value of the inputs; −1 by default. */
  low?: number;
  /** Results lie between −bound and bound; 2.5 by default. */
  bound?: number;
  /** Constants are inputs, because the drop-in front refuses constants here (§3.7). */
  given?: true;
}

export const X = [1, 4, 4, 2];
const pool: BuiltinOptions = {
  type: "Pool2DOptions",
  value: { padding: 1, strideW: 2, strideH: 2, filterWidth: 2, filterHeight: 2, fusedActivationFunction: 0 },
};
const half = [[1, 2, 2, 2]];
const unary: Row = {};
const positive: Row = { low: 0.1 };
const binary: Row = { inputs: [X, X] };
const comparison: Row = { inputs: [X, X], results: [{ shape: X, type: "BOOL" }] };
const reduced = (keepDims = true): Row => ({
  constants: [[1, 2]],
  results: [[1, 1, 1, 2]],
  options: { type: "ReducerOptions", value: { keepDims } },
});
export const ROWS: Readonly<Record<string, Row>> = {
  ABS: unary,
  ADD: { ...binary, options: { type: "AddOptions", value: { fusedActivationFunction: 1 } } },
  ADD_N: { inputs: [X, X, X], bound: 4 },
  ARG_MAX: {
    constants: [3],
    results: [{ shape: [1, 4, 4], type: "INT64" }],
    options: { type: "ArgMaxOptions", value: { outputType: 4 } },
  },
  ARG_MIN: {
    constants: [3],
    results: [{ shape: [1, 4, 4], type: "INT32" }],
    options: { type: "ArgMinOptions", value: { outputType: 2 } },
  },
  AVERAGE_POOL_2D: { results: half, options: pool },
  BATCH_TO_SPACE_ND: { inputs: [[4, 2, 2, 2]], constants: [[2, 2], { shape: [2, 2] }], results: [X] },
  BATCH_MATMUL: {
    inputs: [
      [1, 3, 4],
      [1, 4, 2],
    ],
    results: [[1, 3, 2]],
    options: { type: "BatchMatMulOptions", value: {} },
  },
  BROADCAST_TO: { inputs: [[1, 1, 1, 2]], constants: [X] },
  CAST: { options: { type: "CastOptions", value: { inDataType: 0, outDataType: 0 } } },
  CEIL: unary,
  CONCATENATION: {
    inputs: [X, X],
    results: [[1, 4, 4, 4]],
    options: { type: "ConcatenationOptions", value: { axis: 3, fusedActivationFunction: 0 } },
  },
  CONV_2D: {
    constants: [{ shape: [3, 2, 2, 2] }, { shape: [3] }],
    results: [[1, 3, 3, 3]],
    options: {
      type: "Conv2DOptions",
      value: { padding: 1, strideW: 1, strideH: 1, dilationWFactor: 1, dilationHFactor: 1 },
    },
  },
  COS: unary,
  CUMSUM: { constants: [1], given: true, bound: 4, options: { type: "CumsumOptions", value: {} } },
  DEPTH_TO_SPACE: {
    inputs: [[1, 2, 2, 8]],
    results: [X],
    options: { type: "DepthToSpaceOptions", value: { blockSize: 2 } },
  },
  DEPTHWISE_CONV_2D: {
    constants: [{ shape: [1, 2, 2, 2] }, { shape: [2] }],
    results: [[1, 3, 3, 2]],
    options: {
      type: "DepthwiseConv2DOptions",
      value: { padding: 1, strideW: 1, strideH: 1, depthMultiplier: 1, dilationWFactor: 1, dilationHFactor: 1 },
    },
  },
  DIV: { ...binary, low: 0.3, bound: 4, options: { type: "DivOptions", value: { fusedActivationFunction: 0 } } },
  ELU: unary,
  EQUAL: comparison,
  EXP: { bound: 4 },
  EXPAND_DIMS: { constants: [[1]], results: [[1, 1, 4, 4, 2]] },
  FLOOR: unary,
  FLOOR_DIV: { ...binary, low: 0.3, bound: 4 },
  FLOOR_MOD: { ...binary, low: 0.3 },
  FULLY_CONNECTED: {
    inputs: [[2, 8]],
    constants: [{ shape: [3, 8] }, { shape: [3] }],
    results: [[2, 3]],
    options: { type: "FullyConnectedOptions", value: { fusedActivationFunction: 0 } },
  },
  GATHER: { constants: [[2, 0]], results: [[1, 2, 4, 2]], options: { type: "GatherOptions", value: { axis: 1 } } },
  GATHER_ND: { inputs: [[4, 2]], constants: [[1, 1]], given: true, results: [[]] },
  GELU: { options: { type: "GeluOptions", value: { approximate: false } } },
  GREATER: comparison,
  GREATER_EQUAL: comparison,
  HARD_SWISH: unary,
  INSTANCE_NORM: {
    constants: [{ shape: [2] }, { shape: [2] }],
    options: { type: "InstanceNormOptions", value: { epsilon: 1e-3, fusedActivationFunction: 0 } },
  },
  L2_NORMALIZATION: { options: { type: "L2NormOptions", value: { fusedActivationFunction: 0 } } },
  L2_POOL_2D: { results: half, options: pool },
  LEAKY_RELU: { options: { type: "LeakyReluOptions", value: { alpha: 0.1 } } },
  LESS: comparison,
  LESS_EQUAL: comparison,
  LOCAL_RESPONSE_NORMALIZATION: {
    options: { type: "LocalResponseNormalizationOptions", value: { radius: 1, bias: 1, alpha: 1, beta: 0.5 } },
  },
  LOG: positive,
  LOG_SOFTMAX: unary,
  LOGISTIC: unary,
  MAX_POOL_2D: { results: half, options: pool },
  MAXIMUM: binary,
  MEAN: reduced(),
  MINIMUM: binary,
  MIRROR_PAD: {
    inputs: [[4, 2]],
    constants: [{ shape: [2, 2] }],
    results: [[6, 4]],
    options: { type: "MirrorPadOptions", value: { mode: 0 } },
  },
  MUL: { ...binary, options: { type: "MulOptions", value: { fusedActivationFunction: 0 } } },
  NEG: unary,
  NOT_EQUAL: comparison,
  ONE_HOT: {
    inputs: [[], []],
    constants: [[0, 2, 1], 4],
    operands: ["c0", "c1", "x0", "x1"],
    results: [[3, 4]],
    options: { type: "OneHotOptions", value: { axis: -1 } },
  },
  PACK: { inputs: [X, X], results: [[2, ...X]], options: { type: "PackOptions", value: { valuesCount: 2, axis: 0 } } },
  PAD: { inputs: [[4, 2]], constants: [{ shape: [2, 2] }], results: [[6, 4]] },
  PADV2: {
    inputs: [[4, 2], []],
    constants: [{ shape: [2, 2] }],
    operands: ["x0", "c0", "x1"],
    results: [[6, 4]],
  },
  POW: { ...binary, low: 0.3, bound: 4 },
  PRELU: { constants: [{ shape: [1, 1, 2] }] },
  REDUCE_ANY: {
    inputs: [],
    constants: [{ bool: [0, 1] }, [0]],
    results: [{ shape: [], type: "BOOL" }],
    options: { type: "ReducerOptions", value: { keepDims: false } },
  },
  REDUCE_MAX: reduced(),
  REDUCE_MIN: reduced(),
  REDUCE_PROD: reduced(),
  RELU: unary,
  RELU6: unary,
  RELU_0_TO_1: unary,
  RELU_N1_TO_1: unary,
  RESHAPE: {
    constants: [[4, 8]],
    results: [[4, 8]],
    options: { type: "ReshapeOptions", value: { newShape: Int32Array.of(4, 8) } },
  },
  RESIZE_BILINEAR: {
    constants: [[8, 8]],
    results: [[1, 8, 8, 2]],
    options: { type: "ResizeBilinearOptions", value: { halfPixelCenters: true } },
  },
  RESIZE_NEAREST_NEIGHBOR: {
    constants: [[8, 8]],
    results: [[1, 8, 8, 2]],
    options: { type: "ResizeNearestNeighborOptions", value: {} },
  },
  REVERSE_SEQUENCE: {
    constants: [[2]],
    options: { type: "ReverseSequenceOptions", value: { seqDim: 1, batchDim: 0 } },
  },
  REVERSE_V2: { constants: [[3]], given: true },
  RMS_NORM: { constants: [{ shape: [2] }], options: { type: "RmsNormOptions", value: { epsilon: 1e-3 } } },
  ROPE: { inputs: [X, X, X], options: { type: "RoPEOptions", value: { mode: 0 } } },
  ROUND: unary,
  RSQRT: { low: 0.1, bound: 4 },
  SELECT: {
    inputs: [[2], [2]],
    given: true,
    constants: [{ bool: [0, 1] }],
    operands: ["c0", "x0", "x1"],
    results: [[2]],
  },
  SELECT_V2: { inputs: [X, X], constants: [{ bool: [0, 1] }], operands: ["c0", "x0", "x1"] },
  SIGN: unary,
  SIN: unary,
  SLICE: {
    constants: [
      [0, 1, 0, 0],
      [1, 2, 4, 2],
    ],
    results: [[1, 2, 4, 2]],
  },
  SOFTMAX: { options: { type: "SoftmaxOptions", value: { beta: 1 } } },
  SPACE_TO_BATCH_ND: { constants: [[2, 2], { shape: [2, 2] }], results: [[4, 2, 2, 2]] },
  SPACE_TO_DEPTH: { results: [[1, 2, 2, 8]], options: { type: "SpaceToDepthOptions", value: { blockSize: 2 } } },
  SPLIT: {
    constants: [3],
    operands: ["c0", "x0"],
    results: [
      [1, 4, 4, 1],
      [1, 4, 4, 1],
    ],
    options: { type: "SplitOptions", value: { numSplits: 2 } },
  },
  SPLIT_V: {
    constants: [[1, 3], 1],
    results: [
      [1, 1, 4, 2],
      [1, 3, 4, 2],
    ],
    options: { type: "SplitVOptions", value: { numSplits: 2 } },
  },
  SQRT: positive,
  SQUARE: unary,
  SQUARED_DIFFERENCE: { ...binary, bound: 4 },
  SQUEEZE: { results: [[4, 4, 2]], options: { type: "SqueezeOptions", value: { squeezeDims: Int32Array.of(0) } } },
  STRIDED_SLICE: {
    constants: [
      [0, 0, 0, 0],
      [1, 4, 4, 2],
      [1, 2, 2, 1],
    ],
    results: half,
    options: { type: "StridedSliceOptions", value: {} },
  },
  SUB: { ...binary, options: { type: "SubOptions", value: { fusedActivationFunction: 0 } } },
  SUM: { ...reduced(), bound: 16 },
  TANH: unary,
  TILE: { constants: [[1, 2, 1, 1]], results: [[1, 8, 4, 2]] },
  TOPK_V2: { inputs: [[2, 6]], constants: [2], results: [[2, 2], { shape: [2, 2], type: "INT32" }] },
  TRANSPOSE: { constants: [[0, 3, 1, 2]], results: [[1, 2, 4, 4]] },
  TRANSPOSE_CONV: {
    constants: [[1, 5, 5, 3], { shape: [3, 2, 2, 2] }, { shape: [3] }],
    operands: ["c0", "c1", "x0", "c2"],
    results: [[1, 5, 5, 3]],
    options: { type: "TransposeConvOptions", value: { padding: 1, strideW: 1, strideH: 1 } },
  },
  UNPACK: { inputs: [[2, 3]], results: [[3], [3]], options: { type: "UnpackOptions", value: { num: 2, axis: 0 } } },
  ZEROS_LIKE: unary,
};

/** What cannot be in a model of this kind, and why. */
export const OTHERS: Readonly<Record<string, string>> = {
  BCQ_FULLY_CONNECTED: "binary-coded weights cannot be run",
  BCQ_GATHER: "binary-coded weights cannot be run",
  BIDIRECTIONAL_SEQUENCE_LSTM: "has 48 operands; recording unrolls it (test/calibration)",
  CUSTOM: "known to LiteRT in real models only: selfie_segmentation (real.test.ts)",
  DENSIFY: "of constants only, gone after preparing",
  DEQUANTIZE: "models.test.ts: float outputs",
  FAKE_QUANT: "its parameters are options; no quantizer changes them",
  FILL: "its dims have to be constant for LiteRT, and the front refuses constants here",
  GRU: "cannot be run",
  IF: "models of several subgraphs stay float inside",
  LOGICAL_AND: "no float operand or result",
  LOGICAL_NOT: "no float operand or result",
  LOGICAL_OR: "no float operand or result",
  MATRIX_DIAG: "shape follows from data in LiteRT",
  MATRIX_SET_DIAG: "shape follows from data in LiteRT",
  NON_MAX_SUPPRESSION_V4: "shape follows from data",
  NON_MAX_SUPPRESSION_V5: "shape follows from data",
  QUANTIZE: "models.test.ts: mixed",
  RANGE: "shape follows from data",
  RANK: "no float result",
  SCATTER_ND: "LiteRT knows it for other types",
  SEGMENT_SUM: "shape follows from data",
  SHAPE: "no float result",
  SPARSE_TO_DENSE: "shape follows from data",
  SVDF: "keeps a state",
  UNIDIRECTIONAL_SEQUENCE_LSTM: "keeps a state",
  UNIQUE: "shape follows from data",
  WHERE: "shape follows from data",
  WHILE: "models of several subgraphs stay float inside",
};

type Constant = NonNullable<Row["constants"]>[0];

export function modelFor(op: string, row: Row): Model {
  const { inputs = [X], constants = [], results = [X], bound = 2.5 } = row;
  const names = inputs.map((_, i) => `x${i}`);
  const held = constants.map((_, i) => `c${i}`);
  const shapes = results.map((result) =>
    Array.isArray(result) ? { shape: result, type: "FLOAT32" as const } : result,
  );
  const outputs = shapes.map((_, i) => `y${i}`);
  const made = model([...names, ...(row.given ? held : [])], outputs, (graph) => {
    for (const [i, shape] of inputs.entries()) graph.tensor(names[i]!, shape, "FLOAT32", recorded(row.low ?? -1, 1));
    for (const [i, constant] of constants.entries()) {
      const { shape, values } = contentOf(op, constant);
      const bool = values instanceof Uint8Array;
      if (row.given) graph.tensor(held[i]!, shape, bool ? "BOOL" : "INT32");
      else graph.constant(held[i]!, shape, values, bool ? { type: 6 as TensorType } : {});
    }
    for (const [i, { shape, type }] of shapes.entries())
      graph.tensor(outputs[i]!, shape, type, type === "FLOAT32" ? recorded(-bound, bound) : {});
    graph.operator(op as keyof typeof BuiltinOperator, row.operands ?? [...names, ...held], outputs, row.options);
  });
  // TFLite has no first version of it.
  if (op === "BROADCAST_TO") made.operatorCodes![0]!.version = 2;
  return made;
}

export function contentOf(op: string, constant: Constant) {
  if (typeof constant === "number") return { shape: [], values: Int32Array.of(constant) };
  if (Array.isArray(constant)) return { shape: [constant.length], values: Int32Array.from(constant) };
  if ("bool" in constant) return { shape: [constant.bool.length], values: Uint8Array.from(constant.bool) };
  const { shape } = constant;
  const count = shape.reduce((a, b) => a * b, 1);
  if (/PAD/.test(op)) return { shape, values: new Int32Array(count).fill(1) };
  if (/SPACE|BATCH/.test(op)) return { shape, values: new Int32Array(count) };
  return { shape, values: Float32Array.from({ length: count }, (_, i) => Math.sin(1 + i * 2.3) / 2) };
}

/** Three records for a row's model. */
export function recordsFor(op: string, row: Row): Uint8Array[][] {
  const sizes = (row.inputs ?? [X]).map((shape) => shape.reduce((a, b) => a * b, 1));
  const more = row.given ? row.constants!.map((each) => new Uint8Array(contentOf(op, each).values.buffer)) : [];
  return floatRecords(sizes, 3, row.low).map((record) => [...record, ...more]);
}
