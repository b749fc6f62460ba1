/**
 * One small model for every operator, as words:
 *
 *     "x w0 b -> r"    an activation, weights with channels along axis 0, a bias; the result keeps its recorded range
 *
 * Operands: x activation · ^ activation that gets the result's parameters (backward, §3.9) · w0 w3 weights · b bias ·
 * u gamma and the like · i INT32 constant · I, B INT32 and BOOL inputs · q input that is UINT8 already.
 * Results: r recorded range · =k parameters of operand k · logistic tanh softmax integer (§3.8) · :T dtype T without
 * parameters · !FLOAT32 recorded, but its dtype is inferred (§2.1) · k as it was.
 */
import { type BuiltinOptions, TensorType } from "../../src/model/index.ts";

export interface Case {
  words: string;
  options?: BuiltinOptions;
  /** Shape of the weights. */
  weights?: number[];
  /** Recorded range of the results; another by default. */
  range?: [number, number];
}

const unary: Case = { words: "x -> r" };
const binary: Case = { words: "x x -> r" };
const comparison: Case = { words: "x x -> :BOOL" };
const indexed: Case = { words: "x i -> r" };
/** Scales above 1 in uint8. */
const large: [number, number] = [-700.3, 900.7];

export const CASES: Record<string, Case> = {
  ABS: unary,
  ADD: binary,
  ADD_N: { words: "x x x -> r" },
  ARG_MAX: {
    words: "x i -> :INT64",
    options: { type: "ArgMaxOptions", value: { outputType: TensorType.INT64 } },
  },
  ARG_MIN: {
    words: "x i -> :INT32",
    options: { type: "ArgMinOptions", value: { outputType: TensorType.INT32 } },
  },
  AVERAGE_POOL_2D: unary,
  BATCH_TO_SPACE_ND: { words: "x i i -> r" },
  BATCH_MATMUL: binary,
  BROADCAST_TO: indexed,
  CAST: { words: "x -> r", options: { type: "CastOptions", value: { inDataType: 0, outDataType: 0 } } },
  CEIL: { words: "x -> integer" },
  CONCATENATION: { words: "^ ^ -> r" },
  CONV_2D: { words: "x w0 b -> r", weights: [3, 2, 1, 2] },
  DEPTH_TO_SPACE: unary,
  DEPTHWISE_CONV_2D: { words: "x w3 b -> r", weights: [1, 2, 2, 3] },
  DEQUANTIZE: { words: "q -> !FLOAT32" },
  DIV: binary,
  ELU: unary,
  EQUAL: comparison,
  EXP: unary,
  EXPAND_DIMS: indexed,
  FLOOR: { words: "x -> integer", range: large },
  FLOOR_DIV: { words: "x x -> integer" },
  FLOOR_MOD: { words: "x x -> integer", range: large },
  FULLY_CONNECTED: { words: "x w0 b -> r", weights: [3, 4] },
  GATHER: { words: "x I -> =0" },
  GELU: unary,
  GREATER: comparison,
  GREATER_EQUAL: comparison,
  INSTANCE_NORM: { words: "x u u -> r" },
  LEAKY_RELU: unary,
  LESS: comparison,
  LESS_EQUAL: comparison,
  LOCAL_RESPONSE_NORMALIZATION: unary,
  LOGICAL_AND: { words: "B B -> :BOOL" },
  LOGICAL_NOT: { words: "B -> :BOOL" },
  LOGICAL_OR: { words: "B B -> :BOOL" },
  LOGISTIC: { words: "x -> logistic" },
  LOG_SOFTMAX: unary,
  MAX_POOL_2D: unary,
  MAXIMUM: binary,
  MEAN: indexed,
  MINIMUM: binary,
  MIRROR_PAD: indexed,
  MUL: binary,
  NEG: unary,
  NOT_EQUAL: comparison,
  ONE_HOT: { words: "I i ^ ^ -> r" },
  PACK: { words: "^ ^ -> r" },
  PAD: indexed,
  PADV2: { words: "^ i ^ -> r" },
  POW: binary,
  PRELU: { words: "x u -> r" },
  QUANTIZE: { words: "x -> k" },
  REDUCE_ANY: indexed,
  REDUCE_MAX: indexed,
  REDUCE_MIN: indexed,
  REDUCE_PROD: indexed,
  RELU: unary,
  RELU6: unary,
  RESHAPE: { words: "^ i -> =0" },
  RESIZE_BILINEAR: indexed,
  RESIZE_NEAREST_NEIGHBOR: indexed,
  REVERSE_SEQUENCE: indexed,
  RMS_NORM: { words: "x u -> r" },
  RSQRT: unary,
  SELECT_V2: { words: "B x x -> r" },
  SLICE: { words: "x i i -> r" },
  SOFTMAX: { words: "x -> softmax" },
  SPACE_TO_BATCH_ND: { words: "x i i -> r" },
  SPACE_TO_DEPTH: unary,
  SPLIT: { words: "i x -> =1 =1" },
  SPLIT_V: { words: "x i i -> =0 =0" },
  SQRT: unary,
  SQUARED_DIFFERENCE: binary,
  SQUEEZE: unary,
  STRIDED_SLICE: { words: "x i i i -> =0" },
  SUB: binary,
  SUM: indexed,
  TANH: { words: "x -> tanh" },
  TILE: indexed,
  TOPK_V2: { words: "x i -> r :INT32" },
  TRANSPOSE: { words: "^ i -> =0" },
  TRANSPOSE_CONV: { words: "i w0 x b -> r", weights: [3, 2, 1, 2] },
  UNIQUE: {
    words: "x -> r :INT32",
    options: { type: "UniqueOptions", value: { idxOutType: TensorType.INT32 } },
  },
  UNPACK: { words: "x -> =0 =0" },

  BCQ_FULLY_CONNECTED: { words: "x x I x I -> !FLOAT32" },
  BCQ_GATHER: { words: "x I I I -> !FLOAT32" },
  BIDIRECTIONAL_SEQUENCE_LSTM: { words: "x x x -> r r" },
  COS: unary,
  CUMSUM: { words: "x I -> r" },
  CUSTOM: { words: "x x -> r r" },
  DENSIFY: unary,
  FAKE_QUANT: unary,
  FILL: { words: "I x -> r" },
  GATHER_ND: { words: "x I -> r" },
  GRU: { words: "x x x x x x -> r" },
  HARD_SWISH: unary,
  IF: {
    words: "B x -> r",
    options: { type: "IfOptions", value: { thenSubgraphIndex: 1, elseSubgraphIndex: 1 } },
  },
  L2_NORMALIZATION: unary,
  L2_POOL_2D: unary,
  LOG: unary,
  MATRIX_DIAG: unary,
  MATRIX_SET_DIAG: binary,
  NON_MAX_SUPPRESSION_V4: { words: "x x I x x -> :INT32 :INT32" },
  NON_MAX_SUPPRESSION_V5: { words: "x x I x x x -> :INT32 !FLOAT32 :INT32" },
  RANGE: { words: "x x x -> r" },
  RANK: { words: "x -> :INT32" },
  RELU_0_TO_1: unary,
  RELU_N1_TO_1: unary,
  REVERSE_V2: { words: "x I -> r" },
  ROPE: { words: "x x x -> r" },
  ROUND: unary,
  SCATTER_ND: { words: "I x I -> r" },
  SEGMENT_SUM: { words: "x I -> r" },
  SELECT: { words: "B x x -> r" },
  SHAPE: { words: "x -> :INT32", options: { type: "ShapeOptions", value: { outType: TensorType.INT32 } } },
  SIGN: unary,
  SIN: unary,
  SPARSE_TO_DENSE: { words: "I I x x -> r" },
  SQUARE: unary,
  SVDF: { words: "x x x x x -> r" },
  UNIDIRECTIONAL_SEQUENCE_LSTM: { words: "x x x x -> r" },
  WHERE: { words: "B -> :INT64" },
  // Its results have the declared dtype of the condition's inputs, which quantization does not change (§10.4).
  WHILE: {
    words: "x -> !FLOAT32",
    options: { type: "WhileOptions", value: { condSubgraphIndex: 1, bodySubgraphIndex: 1 } },
  },
  ZEROS_LIKE: unary,
};

/** Option tables of operators that may have a fused activation function. */
export const FUSING: Record<string, BuiltinOptions["type"]> = {
  ADD: "AddOptions",
  AVERAGE_POOL_2D: "Pool2DOptions",
  CONCATENATION: "ConcatenationOptions",
  CONV_2D: "Conv2DOptions",
  DEPTHWISE_CONV_2D: "DepthwiseConv2DOptions",
  DIV: "DivOptions",
  FULLY_CONNECTED: "FullyConnectedOptions",
  MAX_POOL_2D: "Pool2DOptions",
  MUL: "MulOptions",
  SUB: "SubOptions",
  TRANSPOSE_CONV: "TransposeConvOptions",
  INSTANCE_NORM: "InstanceNormOptions",
  BCQ_FULLY_CONNECTED: "BCQFullyConnectedOptions",
  BIDIRECTIONAL_SEQUENCE_LSTM: "BidirectionalSequenceLSTMOptions",
  L2_NORMALIZATION: "L2NormOptions",
  L2_POOL_2D: "Pool2DOptions",
  SVDF: "SVDFOptions",
  UNIDIRECTIONAL_SEQUENCE_LSTM: "UnidirectionalSequenceLSTMOptions",
};
