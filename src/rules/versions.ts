/**
 * OPERATOR VERSIONS: which version of a builtin operator LiteRT's registry has to know for what a file asks of it, as data: one row a kind.
 *
 * A version above the registered one is refused ("Didn't find op for builtin opcode"); one below it runs all the same, because kernels look
 * at dtypes, but older runtimes then fail late instead of refusing early. Sources: op_version.cc, op_signature.cc (conditions),
 * runtime_version.cc (least runtimes) and register.cc (highest versions) of LiteRT 2.3, all below tflite/.
 */
import {
  anyRankAbove,
  both,
  broadcasts,
  type Condition,
  either,
  grouped,
  growing,
  not,
  type OperatorFacts,
  operand,
  operandCount,
  perAxis,
  present,
  quantized,
  rank,
  rankAbove,
  result,
  resultPerAxis,
  scaleEach,
  set,
  sparse,
  types,
} from "./operator-facts.ts";

export interface VersionRow {
  /** The first condition that holds counts. */
  readonly rules: readonly (readonly [when: Condition, version: number])[];
  /** The version where none holds. */
  readonly least: number;
  /** Least runtime of version 1, 2 …; "" where LiteRT's list has none. */
  readonly runtimes: readonly string[];
  /** Highest version that LiteRT has registered. */
  readonly highest: number;
}

const INT8: readonly [Condition, number] = [operand(0, "INT8"), 2];
const INT16: readonly [Condition, number] = [operand(0, "INT16"), 3];
const BROADCASTS_FAR = both(broadcasts, anyRankAbove(4));
const BIAS_TYPE = set("quantizedBiasType");
const ASYMMETRIC = set("asymmetricQuantizeInputs");
/** Float activations and int8 weights: kernels that round activations at run time. */
const hybrid = (weights: number): Condition =>
  both(operand(0, "FLOAT32"), operand(weights, "INT8"), result(0, "FLOAT32"));
const hybridSequence = both(operand(1, "INT8"), result(0, "FLOAT32"));
/** `LSTMOptions.kernelType` BASIC. */
const basicKernel = set("kernelType");

/** A row: least runtimes from version 1 on, highest version, rules. */
const row = (runtimes: string, highest: number, ...rules: VersionRow["rules"]): VersionRow => ({
  rules,
  least: 1,
  runtimes: runtimes.split(" ").map((each) => (each === "-" ? "" : each)),
  highest,
});
const plain = (runtime: string): VersionRow => row(runtime, 1);

const POOL = row("1.5.0 1.14.0 2.3.0", 3, INT16, INT8);
const EXTREMUM = row("1.14.0 1.14.0 2.3.0 2.3.0", 4, [operand(0, "INT16"), 4], [BROADCASTS_FAR, 3], INT8);
const BATCHES = row("1.6.0 1.14.0 2.3.0 2.12.0", 4, [operand(0, "INT16"), 4], [not(rank(4)), 3], INT8);
const LOOKUP = row("1.14.0 1.14.0 2.3.0", 3, INT16, INT8);
const ORDER = row("1.14.0 1.14.0 2.13.0", 3, INT16, INT8);
const ARGUMENT = row("1.9.0 1.14.0 2.9.0", 3, [operand(0, "BOOL"), 3], INT8);
const REDUCTION = row("1.11.0 1.14.0 2.5.0", 3, INT16, INT8);
const pads = (first: string) =>
  row(
    `${first} 1.14.0 2.4.0 2.6.0 2.20.0`,
    6,
    [operand(0, "BOOL"), 5],
    [rankAbove(4), 4],
    [operand(0, "INT16"), 3],
    INT8,
  );
const sequence = (first: string, third: string) =>
  row(`${first} 1.14.0 ${third}`, 3, [both(hybridSequence, ASYMMETRIC), 3], [hybridSequence, 2]);
/** int8 and int16 came with one version. */
const INTEGERS: readonly [Condition, number] = [operand(0, "INT8", "INT16"), 2];

export const VERSIONS: Readonly<Record<string, VersionRow>> = {
  ABS: row(
    "1.13.0 2.4.0 2.5.0 2.6.0 2.12.0",
    5,
    [operand(0, "INT32"), 5],
    [both(operand(0, "INT16"), quantized(0)), 3],
    [operand(0, "INT16"), 4],
    [operand(0, "INT8", "UINT8"), 2],
  ),
  ADD: row(
    "1.5.0 1.14.0 2.4.0 2.6.0 2.13.0 2.23.0",
    6,
    [operand(0, "FLOAT16"), 6],
    [both(operand(0, "INT16"), not(quantized(0))), 5],
    [operand(0, "INT64"), 4],
    [both(operand(0, "INT16"), result(0, "INT16"), set("potScaleInt16", true), quantized(0)), 3],
    INT8,
  ),
  ARG_MAX: ARGUMENT,
  ARG_MIN: ARGUMENT,
  AVERAGE_POOL_2D: POOL,
  BATCH_MATMUL: row(
    "2.3.0 2.3.0 2.4.0 2.5.0",
    4,
    [operand(0, "INT16"), 3],
    [operand(0, "INT8"), 2],
    [both(hybrid(1), ASYMMETRIC), 4],
  ),
  BATCH_TO_SPACE_ND: BATCHES,
  BIDIRECTIONAL_SEQUENCE_LSTM: sequence("1.14.0", "1.14.0"),
  BIDIRECTIONAL_SEQUENCE_RNN: sequence("1.14.0", "2.3.0"),
  BROADCAST_TO: { ...row("- 2.5.0 2.5.0", 4, [operand(0, "INT8", "INT16"), 3]), least: 2 },
  CAST: row(
    "1.5.0 2.7.0 2.8.0 2.9.0 2.12.0 2.15.0 2.17.0 2.21.0",
    9,
    [either(operand(0, "INT2", "UINT4"), result(0, "INT2", "UINT4")), 8],
    [either(operand(0, "BFLOAT16"), result(0, "BFLOAT16")), 7],
    [both(operand(0, "INT4"), result(0, "FLOAT32")), 6],
    [either(operand(0, "FLOAT64", "FLOAT16"), result(0, "FLOAT64", "FLOAT16")), 5],
    [either(operand(0, "UINT16"), result(0, "UINT16")), 4],
    [either(operand(0, "INT8"), result(0, "INT8")), 3],
    [either(operand(0, "UINT32"), result(0, "UINT32")), 2],
  ),
  CONCATENATION: row(
    "1.5.0 1.14.0 2.3.0 2.14.0 2.21.0 2.23.0",
    7,
    [operand(0, "FLOAT16"), 6],
    [operand(0, "INT4"), 5],
    [operand(0, "UINT32"), 4],
    INT16,
    INT8,
  ),
  CONV_2D: row(
    "1.5.0 1.14.0 1.14.0 2.3.0 2.4.0 2.9.0 2.11.0 2.15.0",
    8,
    [both(types("INT16", "INT8"), BIAS_TYPE), 8],
    [grouped, 6],
    [types("INT8", "INT8"), 3],
    [types("INT8", "INT4"), 7],
    [both(hybrid(1), scaleEach(1, 0)), 5],
    [hybrid(1), 2],
  ),
  DEPTHWISE_CONV_2D: row(
    "1.5.0 1.12.0 1.14.0 2.2.0 2.3.0 2.3.0 2.11.0",
    7,
    [both(hybrid(1), scaleEach(1, 3)), 6],
    [hybrid(1), 4],
    [types("INT8", "INT8"), 3],
    [types("INT8", "INT4"), 7],
    [either(set("dilationWFactor", 1), set("dilationHFactor", 1)), 2],
  ),
  DEPTH_TO_SPACE: row("2.1.0 2.5.0", 2, INT8),
  DEQUANTIZE: row(
    "1.13.1 1.14.0 1.15.0 2.2.0 2.7.0 2.18.0 2.21.0 2.22.0",
    9,
    [operand(0, "UINT4"), 8],
    [operand(0, "INT2"), 7],
    [operand(0, "INT4"), 6],
    [operand(0, "INT16", "FLOAT16"), 3],
    [both(operand(0, "INT8"), perAxis(0)), 5],
    INT8,
  ),
  DIV: row("1.6.0 2.3.0", 2, [BROADCASTS_FAR, 2]),
  DYNAMIC_UPDATE_SLICE: row(
    "2.9.0 2.17.0 2.19.0 2.20.0 2.21.0 2.22.0",
    6,
    [operand(0, "BFLOAT16"), 6],
    [operand(0, "INT4"), 5],
    [operand(0, "INT16"), 4],
    [operand(0, "FLOAT16"), 3],
    [operand(2, "INT64"), 2],
  ),
  ELU: plain("1.14.0"),
  EMBEDDING_LOOKUP: row(
    "1.13.0 1.14.0 1.14.0 2.18.0 2.21.0",
    5,
    [either(operand(1, "INT4"), both(perAxis(1), scaleEach(1, 0))), 4],
    [operand(1, "INT2"), 5],
  ),
  EQUAL: row("1.14.0 1.14.0 2.3.0 2.13.0 2.21.0", 5, [operand(0, "INT16"), 5], [operand(0, "STRING"), 3], INT8),
  EXP: row("1.7.0 2.12.0", 2, INTEGERS),
  EXPAND_DIMS: plain("1.10.0"),
  FILL: row(
    "1.13.0 2.3.0 2.5.0 2.12.0",
    5,
    [operand(1, "FLOAT16"), 4],
    [operand(1, "INT8", "INT16"), 3],
    [operand(1, "BOOL", "STRING"), 2],
  ),
  FULLY_CONNECTED: row(
    "1.5.0 1.10.0 1.14.0 1.14.0 2.0.0 2.1.0 2.3.0 2.3.0 2.3.0 2.11.0 2.15.0 2.17.0 2.18.0 2.21.0",
    14,
    [operand(1, "INT2"), 14],
    [types("INT16", "INT4"), 13],
    [both(hybrid(1), scaleEach(1, 0)), 12],
    [both(types("INT16", "INT8"), BIAS_TYPE), 11],
    [sparse(1), 8],
    [types("INT16", "INT16"), 7],
    [operandCount(2), 6],
    [set("keepNumDims"), 5],
    [types("INT8", "INT8"), 4],
    [types("INT8", "INT4"), 10],
    [both(hybrid(1), ASYMMETRIC), 9],
    [hybrid(1), 3],
    [set("weightsFormat"), 2],
  ),
  GATHER: row(
    "1.6.0 1.14.0 1.15.0 2.4.0 2.5.0 2.13.0 2.15.0",
    8,
    [operand(0, "INT4"), 7],
    [operand(1, "INT16"), 6],
    [set("batchDims"), 5],
    [operand(0, "INT16"), 4],
    [operand(0, "BOOL"), 3],
    INT8,
  ),
  GATHER_ND: row("1.14.0 2.3.0 2.5.0 2.13.0 2.16.0", 6, [operand(0, "BOOL"), 5], [operand(1, "INT16"), 4], INT16, [
    operand(0, "STRING"),
    2,
  ]),
  GELU: row("2.9.0 2.9.0", 3, [operand(0, "INT8", "UINT8"), 2]),
  GREATER: row("1.14.0 1.14.0", 2, INT8),
  GREATER_EQUAL: ORDER,
  HARD_SWISH: plain("1.15.0"),
  L2_NORMALIZATION: row("1.5.0 1.14.0", 2, [result(0, "INT8"), 2]),
  LEAKY_RELU: row("1.13.1 2.3.0", 2, [operand(0, "INT16"), 2]),
  LESS: ORDER,
  LESS_EQUAL: row("1.14.0 1.14.0", 2, INT8),
  LOG: row("1.14.0 2.15.0", 2, INTEGERS),
  LOGISTIC: LOOKUP,
  LOG_SOFTMAX: row("1.14.0 1.14.0", 2, INT8),
  LSTM: row(
    "1.7.0 1.10.0 1.14.0 2.3.0",
    4,
    [both(not(basicKernel), operand(0, "INT16"), operand(2, "INT8"), result(0, "INT16")), 5],
    [both(not(basicKernel), hybrid(2), ASYMMETRIC), 4],
    [both(not(basicKernel), hybrid(2)), 3],
    [basicKernel, 2],
  ),
  MAXIMUM: EXTREMUM,
  MAX_POOL_2D: POOL,
  MEAN: row("1.6.0 1.14.0 2.4.0", 3, INT16, INT8),
  MINIMUM: EXTREMUM,
  MIRROR_PAD: row("1.13.1 2.3.0 2.12.0", 3, INT16, INT8),
  MUL: row(
    "1.5.0 1.14.0 1.15.0 2.3.0 2.6.0 2.11.0 2.13.0 2.23.0",
    8,
    [operand(0, "FLOAT16"), 8],
    [either(both(operand(0, "INT16"), not(either(quantized(0), quantized(1)))), operand(0, "UINT32")), 7],
    [operand(0, "COMPLEX64"), 6],
    [operand(0, "INT64"), 5],
    [operand(0, "INT16"), 4],
    [growing, 3],
    INT8,
  ),
  NEG: plain("1.9.0"),
  NOT_EQUAL: row("1.14.0 1.14.0 2.3.0 2.21.0", 4, [operand(0, "INT16"), 4], [operand(0, "STRING"), 3], INT8),
  ONE_HOT: plain("1.11.0"),
  PACK: row("1.11.0 1.14.0 2.3.0 2.13.0", 5, INT8, INT16, [operand(0, "UINT32"), 4]),
  PAD: pads("1.5.0"),
  PADV2: pads("1.9.0"),
  PRELU: plain("1.8.0"),
  QUANTIZE: row(
    "1.14.0 1.15.0 2.7.0 2.21.0 2.21.0 2.21.0",
    6,
    [either(operand(0, "UINT4"), result(0, "UINT4")), 5],
    [either(operand(0, "INT4"), result(0, "INT4")), 4],
    [resultPerAxis, 3],
    [result(0, "INT16"), 2],
  ),
  REDUCE_MAX: REDUCTION,
  REDUCE_MIN: REDUCTION,
  REDUCE_PROD: row("1.11.0 2.6.0", 2, INTEGERS),
  RELU: row("1.5.0 2.1.0 2.5.0", 3, INT16, [operand(0, "INT8", "UINT8"), 2]),
  RELU6: row("1.5.0 1.14.0 2.5.0", 3, INT16, INT8),
  RELU_0_TO_1: plain("2.10.0"),
  RELU_N1_TO_1: plain("1.5.0"),
  RESHAPE: plain("1.5.0"),
  RESIZE_BILINEAR: row("1.7.0 1.14.0 2.2.0 2.5.0", 4, [operand(0, "INT16"), 4], [set("halfPixelCenters"), 3], INT8),
  RESIZE_NEAREST_NEIGHBOR: row(
    "1.13.1 1.14.0 2.3.0 2.4.0",
    4,
    [operand(0, "INT16"), 4],
    [either(set("halfPixelCenters"), set("alignCorners")), 3],
    INT8,
  ),
  REVERSE_SEQUENCE: plain("1.14.0"),
  REVERSE_V2: row("1.14.0 2.2.0 2.5.0", 4, [operand(0, "INT8"), 3], [operand(0, "BOOL"), 2]),
  RNN: sequence("1.5.0", "2.3.0"),
  RSQRT: row("1.10.0 2.5.0 2.15.0", 3, INT16, INT8),
  SCATTER_ND: plain("2.1.0"),
  SELECT: row(
    "1.14.0 1.14.0 2.12.0 2.12.0",
    4,
    [operand(0, "UINT32"), 4],
    [either(rank(5, 0), rank(5, 1), rank(5, 2)), 3],
    // The condition's type: so the source has it.
    INT8,
  ),
  SELECT_V2: row("2.2.0 2.12.0", 2, [operand(0, "UINT32"), 2]),
  SLICE: row(
    "1.14.0 1.14.0 1.14.0 2.4.0 2.5.0 2.14.0 2.21.0 2.23.0",
    8,
    [operand(0, "FLOAT16"), 8],
    [operand(0, "INT4"), 7],
    [operand(0, "UINT32"), 6],
    [rankAbove(4), 5],
    [operand(0, "INT16"), 4],
    [operand(0, "STRING"), 3],
    INT8,
  ),
  SOFTMAX: row("1.5.0 1.14.0 2.3.0 2.23.0", 4, [operand(0, "FLOAT16"), 4], INT16, INT8),
  SPACE_TO_BATCH_ND: BATCHES,
  SPACE_TO_DEPTH: row("1.5.0 1.14.0", 2, INT8),
  SPLIT: row(
    "1.5.0 1.14.0 1.14.0 2.3.0",
    5,
    [operand(1, "INT16"), 4],
    [operand(1, "INT32"), 3],
    [operand(1, "INT8"), 2],
  ),
  SPLIT_V: row("1.13.1 2.3.0", 3, INT8),
  SQRT: row("1.10.0 2.21.0", 2, INTEGERS),
  SQUARED_DIFFERENCE: row("1.13.1 2.5.0", 2, INT8),
  STRIDED_SLICE: row(
    "1.6.0 1.14.0 2.1.0 2.2.0 2.5.0 2.6.0 2.14.0 2.14.0",
    8,
    [set("offset"), 8],
    [operand(0, "UINT32"), 7],
    [either(set("ellipsisMask"), set("newAxisMask")), 6],
    [operand(0, "STRING"), 5],
    [rankAbove(4), 4],
    [operand(0, "BOOL"), 3],
    INT8,
  ),
  SUB: row(
    "1.6.0 1.14.0 2.3.0 2.4.0 2.4.0",
    5,
    [both(operand(0, "INT16"), result(0, "INT16"), set("potScaleInt16", true)), 5],
    [operand(0, "INT64"), 4],
    [BROADCASTS_FAR, 3],
    INT8,
  ),
  SUM: row("1.10.0 1.15.0", 2, INT8),
  SVDF: row("1.5.0 1.14.0 2.2.0 2.3.0", 4, [operand(0, "INT8"), 3], [both(hybrid(1), ASYMMETRIC), 4], [hybrid(1), 2]),
  TANH: LOOKUP,
  TILE: row("1.10.1 2.2.0 2.8.0", 3, [operand(0, "INT8"), 3], [operand(0, "STRING"), 2]),
  TOPK_V2: row(
    "1.7.0 1.14.0 2.13.0",
    3,
    [either(operand(0, "INT16"), operand(1, "INT16"), result(1, "INT16")), 3],
    INT8,
  ),
  TRANSPOSE: row(
    "1.6.0 1.14.0 1.15.0 2.3.0 2.4.0 2.12.0 2.14.4 2.22.0 2.23.0",
    9,
    [operand(0, "FLOAT16"), 9],
    [either(rankAbove(6), operand(0, "BFLOAT16")), 8],
    [operand(0, "INT4"), 7],
    [rankAbove(5), 6],
    [operand(0, "INT16"), 5],
    [rankAbove(4), 4],
    [operand(0, "BOOL"), 3],
    INT8,
  ),
  TRANSPOSE_CONV: row(
    "1.9.0 2.2.0 2.3.0 2.13.0 2.15.0",
    5,
    // Operand 0 is the shape, whatever LiteRT's function asks of it: what counts is the input, operand 2.
    [both(operand(2, "INT16"), operand(1, "INT8"), result(0, "INT16"), BIAS_TYPE), 5],
    [set("fusedActivationFunction"), 4],
    [both(operandCount(4), present(3)), 3],
    [operand(1, "INT8"), 2],
  ),
  UNIDIRECTIONAL_SEQUENCE_LSTM: row(
    "1.13.1 1.14.0 2.3.0 2.12.0",
    4,
    [both(operand(0, "INT16"), operand(2, "INT8"), result(0, "INT16")), 5],
    [set("diagonalRecurrentTensors"), 4],
    [both(hybrid(2), ASYMMETRIC), 3],
    [hybrid(2), 2],
  ),
  UNIDIRECTIONAL_SEQUENCE_RNN: sequence("1.14.0", "2.3.0"),
  UNPACK: row(
    "1.11.0 1.14.0 2.2.0 2.3.0 2.22.0",
    6,
    [operand(0, "INT8", "UINT8"), 2],
    [operand(0, "BOOL"), 3],
    [operand(0, "INT16"), 4],
    [operand(0, "FLOAT16", "BFLOAT16"), 5],
  ),
};

/** Whether the table has a row for a kind: neither a custom operator nor one of Circle's own. */
export function hasVersions(op: string): boolean {
  return Object.hasOwn(VERSIONS, op);
}

/** Highest version that LiteRT has registered; undefined for kinds without a row. */
export function highestVersion(op: string): number | undefined {
  return VERSIONS[op]?.highest;
}

/** The version that an operator needs; undefined for kinds that the table does not have (custom ones, Circle's own). */
export function neededVersion(op: string, facts: OperatorFacts): number | undefined {
  const found = VERSIONS[op];
  return found && (found.rules.find(([when]) => when(facts))?.[1] ?? found.least);
}

/** "2.3.0": the least runtime that knows a version of a kind; undefined where it is not known. */
export function leastRuntime(op: string, version: number): string | undefined {
  return VERSIONS[op]?.runtimes[version - 1] || undefined;
}

/** The later of two runtimes, by the numbers between the dots. */
export function laterRuntime(a: string, b: string): string {
  const [left, right] = [a, b].map((text) => text.split(".").map(Number)) as [number[], number[]];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? -1) - (right[i] ?? -1);
    if (difference !== 0) return difference > 0 ? a : b;
  }
  return a;
}
