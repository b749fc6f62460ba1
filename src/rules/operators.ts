/**
 * THE OPERATOR TABLE: one row an operator, everything quantization knows of it (docs/reference.md, Appendix A).
 *
 * Passes read rows and mention no operator by name. A row says what each operand is for, what the result's parameters
 * are, what happens to constant operands, whether the operator may have a dtype of its own (mixed precision), whether
 * the verifier looks at it, and how a quantized model is turned back into a float one. Adding an operator is one row
 * and one golden case (test/operators fails on a row without a line and a case there).
 */
import type { Dtype } from "../model/tensor-types.ts";
import type { DynamicRule, FamilyRule, OperandRole, OperatorRow, ResultRole, SpecialKind } from "./operator-row.ts";
import type { FixedParameters } from "./schemes.ts";

export type { BackwardRule, DtypeRule, OperandRole, OperatorRow, ResultRole } from "./operator-row.ts";

const activation: OperandRole = { role: "activation" };
const weights = (name: string, axis: number): OperandRole => ({ role: "weights", name, axis });
const bias: OperandRole = { role: "bias", name: "bias" };
const unit = (name: string): OperandRole => ({ role: "unit", name });
const raw = (...dtypes: Dtype[]): OperandRole => ({ role: "raw", dtypes });
const INDEX: Dtype[] = ["INT32", "INT64"];

const recorded: ResultRole = { role: "activation" };
const sameAs = (operand: number): ResultRole => ({ role: "same", operand });
const special = (kind: SpecialKind): ResultRole => ({ role: "special", kind });
const boolean: ResultRole = { role: "boolean" };

const fixed = (scale: number, zeroPoint: number): FixedParameters => ({ scale, zeroPoint });

/**
 * Weights alone (LiteRT's kernels, `Prepare` and `Eval` of each; tried with ai-edge-litert 2.3, default and built-in kernels): operands,
 * axis, and what hybrid kernels there are.
 */
const weightsAlone = (operands: readonly number[], axis: number, dynamic?: DynamicRule): FamilyRule => ({
  weights: { operands, axis },
  ...(dynamic && { dynamic }),
});
const BYTES: DynamicRule = { dtypes: { INT8: {} } };
/** Rows begin with a byte: optimized kernels take no others. */
const MATRIX: DynamicRule["dtypes"] = { INT8: {}, INT4: { columns: 2 }, INT2: { columns: 4 } };
/** Matrices of all gates, peepholes and projections: kernels read one scale of each. */
const RECURRENT: DynamicRule = { dtypes: { INT8: {} }, perTensor: true, asymmetric: true };
const upTo = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

const qdq = "quantize-dequantize";
const nothing = "nothing";

/** One activation in, one out; a constant operand is quantized by its own values. */
const unary = (more: Partial<OperatorRow> = {}): OperatorRow => ({
  in: [activation],
  out: recorded,
  constants: "own",
  mixed: "activations",
  ...more,
});

/** Two activations in, one out. */
const binary = (more: Partial<OperatorRow> = {}): OperatorRow => ({ ...unary(more), in: [activation, activation] });

/** Any number of activations. */
const variadic = (more: Partial<OperatorRow> = {}): OperatorRow => ({ ...unary(more), in: [], rest: activation });

/** Two activations compared: the result is BOOL. */
const comparison = (more: Partial<OperatorRow> = {}): OperatorRow => ({
  in: [activation, activation],
  out: boolean,
  constants: "own",
  dtype: { fixed: "BOOL" },
  ...more,
});

/** The reduction kinds: operand 1 are the axes. */
const reduction = (more: Partial<OperatorRow> = {}): OperatorRow => ({
  ...unary(more),
  in: [activation, raw("INT32")],
});

/** Input, weights and bias with an accumulator. */
const convolution = (operands: readonly OperandRole[], more: Partial<OperatorRow> = {}): OperatorRow => ({
  in: operands,
  out: recorded,
  heavy: true,
  fuses: true,
  takesRelu: true,
  constants: "elsewhere",
  mixed: "activations",
  verify: "roles",
  fake: qdq,
  ...more,
});

/** Known to the IR of the reference, without any rule of quantization: an ordinary activation if recorded. */
const unruled = (more: Partial<OperatorRow> = {}): OperatorRow => ({
  in: [],
  rest: raw(),
  out: recorded,
  constants: "refused",
  ...more,
});

export const OPERATORS: Readonly<Record<string, OperatorRow>> = {
  ABS: unary({ fake: qdq }),
  ADD: binary({ fuses: true, takesRelu: true, arithmetic: "add", verify: "roles or all integer", fake: qdq }),
  ADD_N: variadic(),
  ARG_MAX: {
    ignoresBelow: 0,
    in: [activation, raw(...INDEX)],
    out: { role: "raw" },
    constants: "own",
    verify: "index result",
    fake: nothing,
    dtype: { option: "outputType" },
  },
  ARG_MIN: {
    ignoresAbove: 0,
    in: [activation, raw()],
    out: { role: "raw" },
    constants: "own",
    dtype: { option: "outputType" },
  },
  AVERAGE_POOL_2D: unary({
    families: { litert: { sameAs: 0 } },
    averages: "window",
    fuses: true,
    takesRelu: true,
    constants: "refused",
    verify: "roles",
    fake: qdq,
  }),
  BATCH_TO_SPACE_ND: unary({ passes: [0], in: [activation, raw(), raw()], verify: "roles" }),
  BATCH_MATMUL: binary({
    families: {
      litert: {
        weights: { operands: [1], axis: { usually: -1, option: "adjointRhs", otherwise: -2 } },
        dynamic: { dtypes: { INT8: {} }, asymmetric: true },
      },
    },
    heavy: true,
    fake: qdq,
  }),
  BROADCAST_TO: { passes: [0], in: [activation, raw()], out: recorded, constants: "own" },
  CAST: { in: [activation], out: recorded, constants: "refused", verify: "cast", fake: nothing, dtype: "own" },
  CEIL: { in: [activation], out: special("integer"), constants: "refused" },
  CONCATENATION: variadic({
    passes: "all",
    fuses: true,
    constants: "elsewhere",
    backward: { rule: "concat" },
    verify: "roles or all integer",
    fake: nothing,
  }),
  CONV_2D: convolution([activation, weights("filter", 0), bias], {
    families: { litert: weightsAlone([1], 0, { dtypes: { INT8: {}, INT4: {} } }) },
    weightsOnly: true,
    zeroBias: true,
  }),
  DEPTH_TO_SPACE: unary({ passes: [0], verify: "roles", fake: nothing }),
  DEPTHWISE_CONV_2D: convolution([activation, weights("filter", 3), bias], {
    families: { litert: weightsAlone([1], 3, BYTES) },
    weightsOnly: true,
    zeroBias: true,
  }),
  DEQUANTIZE: {
    in: [activation],
    out: { role: "raw" },
    constants: "refused",
    fake: nothing,
    dtype: { fixed: "FLOAT32" },
  },
  DIV: binary({ fuses: true, takesRelu: true, arithmetic: "div", verify: "roles", fake: qdq }),
  ELU: unary({ flat: { below: -20 }, verify: "roles" }),
  EQUAL: comparison(),
  EXP: unary({ ignoresBelow: 20, fake: qdq }),
  EXPAND_DIMS: { passes: [0], in: [activation, raw()], out: recorded, constants: "own", sameElements: true },
  FLOOR: unary({ out: special("integer"), verify: "roles" }),
  FLOOR_DIV: binary({ out: special("integer"), verify: "roles" }),
  FLOOR_MOD: binary({ out: special("integer"), mixed: undefined }),
  FULLY_CONNECTED: convolution([activation, weights("weights", 0), bias], {
    families: {
      litert: weightsAlone([1], 0, { dtypes: MATRIX, asymmetric: true, blocks: { rows: 4, plain: true } }),
    },
    weightsOnly: true,
    zeroBias: true,
  }),
  GATHER: unary({
    // A table of embeddings, or small change.
    families: { litert: { weights: { operands: [0], axis: 0, least: 1024 } } },
    passes: [0],
    in: [activation, raw()],
    out: sameAs(0),
    fake: nothing,
  }),
  GELU: unary({ flat: { below: -10 }, verify: "roles", fake: qdq }),
  GREATER: comparison({ verify: "roles" }),
  GREATER_EQUAL: comparison({ verify: "roles" }),
  INSTANCE_NORM: {
    in: [activation, unit("gamma"), unit("beta")],
    out: recorded,
    fuses: true,
    takesRelu: true,
    constants: "elsewhere",
    mixed: "activations",
    verify: "roles",
    fake: qdq,
  },
  LEAKY_RELU: unary({ constants: "refused", fake: qdq }),
  LESS: comparison(),
  LESS_EQUAL: comparison(),
  LOCAL_RESPONSE_NORMALIZATION: unary({ verify: "roles" }),
  LOGICAL_AND: { in: [], rest: raw(), out: boolean, constants: "elsewhere" },
  LOGICAL_NOT: { in: [], rest: raw(), out: boolean, constants: "elsewhere" },
  LOGICAL_OR: { in: [], rest: raw("BOOL"), out: boolean, constants: "elsewhere", verify: "roles" },
  LOGISTIC: unary({ flat: { below: -20, above: 20 }, out: special("logistic"), verify: "roles", fake: qdq }),
  LOG_SOFTMAX: unary({
    shiftsRows: true,
    families: { litert: { fixed: { UINT8: fixed(16 / 256, 255), INT8: fixed(16 / 256, 127) } } },
    constants: "refused",
    mixed: undefined,
    fake: qdq,
  }),
  MAX_POOL_2D: unary({
    families: { litert: { sameAs: 0 } },
    ignoresBelow: 0,
    out: { role: "same", operand: 0, when: "tf-style-maxpool" },
    fuses: true,
    takesRelu: true,
    constants: "refused",
    verify: "roles",
    fake: qdq,
  }),
  MAXIMUM: binary({ elementwise: "max", fake: qdq }),
  MEAN: reduction({ verify: "roles", fake: qdq }),
  MINIMUM: binary({ elementwise: "min", fake: qdq }),
  MIRROR_PAD: unary({ passes: [0], in: [activation, raw("INT32")], verify: "roles" }),
  MUL: binary({ fuses: true, takesRelu: true, arithmetic: "mul", verify: "roles or all integer", fake: qdq }),
  NEG: unary({ negates: true, constants: "refused", fake: qdq }),
  NOT_EQUAL: comparison({ verify: "roles" }),
  ONE_HOT: {
    in: [raw(...INDEX), raw("INT32"), activation, activation],
    out: recorded,
    constants: "elsewhere",
    mixed: "activations",
    backward: { rule: "all", operands: [2, 3], refuseOtherConstants: true },
    verify: "roles",
    dtype: { operand: 2 },
  },
  PACK: variadic({
    passes: "all",
    constants: "elsewhere",
    backward: { rule: "all", operands: "rest", refuseOtherConstants: true },
    verify: "roles",
    fake: nothing,
  }),
  PAD: unary({ in: [activation, raw("INT32")], verify: "roles", fake: qdq }),
  PADV2: {
    passes: [0, 2],
    in: [activation, raw("INT32"), activation],
    out: recorded,
    constants: "elsewhere",
    mixed: [0],
    backward: { rule: "pad-value" },
    verify: "roles",
  },
  POW: binary({ verify: "roles" }),
  PRELU: {
    in: [activation, unit("alpha")],
    slope: 1,
    out: recorded,
    constants: "elsewhere",
    mixed: "activations",
    verify: "roles",
    fake: qdq,
  },
  QUANTIZE: {
    in: [activation],
    out: { role: "requantized", operand: 0 },
    constants: "refused",
    fake: "dequantize",
    dtype: "own",
  },
  REDUCE_ANY: { in: [activation, raw()], out: recorded, constants: "own" },
  REDUCE_MAX: reduction({ ignoresBelow: 0, verify: "roles", fake: qdq }),
  REDUCE_MIN: reduction({ ignoresAbove: 0 }),
  REDUCE_PROD: reduction({ fake: qdq }),
  RELU: unary({ flat: { below: 0 }, activation: "RELU", constants: "refused", verify: "roles", fake: qdq }),
  RELU6: unary({ flat: { below: 0, above: 6 }, activation: "RELU6", constants: "refused", fake: qdq }),
  RESHAPE: unary({
    passes: [0],
    in: [activation, raw("INT32")],
    out: sameAs(0),
    backward: { rule: "operand", operand: 0 },
    verify: "reshape",
    fake: nothing,
    sameElements: true,
    shapeOperand: { operand: 1, option: "newShape" },
  }),
  RESIZE_BILINEAR: unary({ in: [activation, raw()], verify: "roles", fake: qdq }),
  RESIZE_NEAREST_NEIGHBOR: unary({ passes: [0], in: [activation, raw()], verify: "roles", fake: qdq }),
  REVERSE_SEQUENCE: unary({ passes: [0], in: [activation, raw()] }),
  RMS_NORM: {
    in: [activation, unit("gamma")],
    out: recorded,
    constants: "elsewhere",
    mixed: "activations",
    verify: "roles",
    fake: qdq,
  },
  RSQRT: unary({ verify: "roles", fake: qdq }),
  SELECT_V2: {
    passes: [1, 2],
    in: [raw(), activation, activation],
    out: recorded,
    constants: "own",
    dtype: { operand: 1 },
  },
  SLICE: unary({ passes: [0], in: [activation, raw(...INDEX), raw(...INDEX)], verify: "roles", fake: nothing }),
  SOFTMAX: unary({ ignoresBelow: 20, out: special("softmax"), verify: "roles", fake: qdq }),
  SPACE_TO_BATCH_ND: unary({ passes: [0], in: [activation, raw(), raw()], verify: "roles" }),
  SPACE_TO_DEPTH: unary({ passes: [0], verify: "roles", fake: nothing }),
  SPLIT: unary({
    passes: [1],
    in: [raw(), activation],
    out: sameAs(1),
    multiple: true,
    verify: "same parameters",
    fake: nothing,
    dtype: { operand: 1 },
  }),
  SPLIT_V: unary({
    passes: [0],
    in: [activation, raw(), raw()],
    out: sameAs(0),
    multiple: true,
    verify: "same parameters",
    fake: nothing,
  }),
  SQRT: unary({ verify: "roles", fake: qdq }),
  SQUARED_DIFFERENCE: binary({ constants: "refused", mixed: undefined, fake: qdq }),
  SQUEEZE: unary({ passes: [0], sameElements: true }),
  STRIDED_SLICE: unary({
    passes: [0],
    in: [activation, raw(), raw(), raw()],
    out: sameAs(0),
    verify: "same parameters",
    fake: nothing,
  }),
  SUB: binary({ fuses: true, takesRelu: true, arithmetic: "sub", fake: qdq }),
  SUM: reduction({ verify: "roles", fake: qdq }),
  TANH: unary({ flat: { below: -10, above: 10 }, out: special("tanh"), verify: "roles", fake: qdq }),
  TILE: unary({ passes: [0], in: [activation, raw()] }),
  TOPK_V2: unary({ in: [activation, raw()], multiple: true }),
  TRANSPOSE: unary({
    passes: [0],
    in: [activation, raw("INT32")],
    out: sameAs(0),
    backward: { rule: "operand", operand: 0 },
    verify: "roles",
    fake: nothing,
  }),
  TRANSPOSE_CONV: convolution(
    [{ role: "raw", dtypes: [], constant: "inputSizes" }, weights("filter", 0), activation, bias],
    {
      families: { litert: weightsAlone([1], 0, BYTES) },
      dtype: { operand: 2 },
      since: { bias: 3, activation: 4 },
    },
  ),
  UNIQUE: unary({ constants: "refused", multiple: true }),
  UNPACK: unary({ passes: [0], out: sameAs(0), multiple: true, verify: "same parameters", fake: nothing }),

  // Known to the IR, no rule of quantization. Dtype inference and fused activations still matter.
  BCQ_FULLY_CONNECTED: unruled({ fuses: true, dtype: { fixed: "FLOAT32" } }),
  BCQ_GATHER: unruled({ dtype: { fixed: "FLOAT32" } }),
  BIDIRECTIONAL_SEQUENCE_LSTM: unruled({
    families: {
      litert: weightsAlone([...upTo(1, 11), 16, ...upTo(18, 28), 33, ...upTo(40, 47)], 0, RECURRENT),
    },
    fuses: true,
    multiple: true,
  }),
  COS: unruled(),
  CUMSUM: unruled(),
  CUSTOM: unruled({ multiple: true, dtype: "own" }),
  DENSIFY: unruled(),
  FAKE_QUANT: unruled(),
  FILL: unruled({ dtype: { operand: 1 } }),
  GATHER_ND: unruled({ passes: [0] }),
  GRU: unruled(),
  HARD_SWISH: unruled({ gated: true, ours: unary({ verify: "roles", fake: qdq }) }),
  IF: unruled({ multiple: true, dtype: { subgraph: "thenSubgraphIndex", side: "outputs" } }),
  L2_NORMALIZATION: unruled({
    families: { litert: { fixed: { UINT8: fixed(1 / 128, 128), INT8: fixed(1 / 128, 0) } } },
    fuses: true,
  }),
  L2_POOL_2D: unruled({ fuses: true }),
  LOG: unruled(),
  MATRIX_DIAG: unruled(),
  MATRIX_SET_DIAG: unruled(),
  NON_MAX_SUPPRESSION_V4: unruled({ multiple: true, dtype: { results: ["INT32", "INT32"] } }),
  NON_MAX_SUPPRESSION_V5: unruled({ multiple: true, dtype: { results: ["INT32", "FLOAT32", "INT32"] } }),
  RANGE: unruled(),
  RANK: unruled({ looksAtShapeOnly: true, dtype: { fixed: "INT32" } }),
  RELU_0_TO_1: unruled(),
  RELU_N1_TO_1: unruled({ activation: "RELU_N1_TO_1" }),
  REVERSE_V2: unruled({ passes: [0] }),
  ROPE: unruled(),
  ROUND: unruled(),
  SCATTER_ND: unruled({ dtype: { operand: 1 } }),
  SEGMENT_SUM: unruled(),
  SELECT: unruled({ passes: [1, 2], dtype: { operand: 1 } }),
  SHAPE: unruled({ looksAtShapeOnly: true, dtype: { option: "outType" } }),
  SIGN: unruled(),
  SIN: unruled(),
  SPARSE_TO_DENSE: unruled({ dtype: { operand: 2 } }),
  SQUARE: unruled(),
  SVDF: unruled({ families: { litert: weightsAlone([1, 2], 0, RECURRENT) }, fuses: true }),
  UNIDIRECTIONAL_SEQUENCE_LSTM: unruled({
    families: { litert: weightsAlone([...upTo(1, 11), 16], 0, RECURRENT) },
    fuses: true,
  }),
  WHERE: unruled({ dtype: { fixed: "INT64" } }),
  WHILE: unruled({ multiple: true, dtype: { subgraph: "condSubgraphIndex", side: "inputs" } }),
  ZEROS_LIKE: unruled(),
};

/** What an operator without a row gets: its dtype and parameters stay as they are. */
const UNKNOWN: OperatorRow = { in: [], rest: raw(), out: recorded, constants: "refused", dtype: "own" };

/** A kind that ONE does not know; LiteRT's kernels take its weights. */
const beyondOne = (litert: FamilyRule): OperatorRow => ({ ...UNKNOWN, families: { litert } });

/** Rows of kinds that the reference's text does not have: unknown to all but the schemes of a family. */
export const BEYOND_ONE: Readonly<Record<string, OperatorRow>> = {
  BIDIRECTIONAL_SEQUENCE_RNN: beyondOne(weightsAlone([1, 2, 5, 6, 10, 11], 0, RECURRENT)),
  CONV_3D: beyondOne(weightsAlone([1], 4)),
  CONV_3D_TRANSPOSE: beyondOne(weightsAlone([1], 3)),
  EMBEDDING_LOOKUP: beyondOne(weightsAlone([1], 0, { dtypes: MATRIX, exact: true, blocks: { rows: 1 } })),
  LSTM: beyondOne(weightsAlone([...upTo(1, 11), 16], 0, RECURRENT)),
  RNN: beyondOne(weightsAlone([1, 2], 0, RECURRENT)),
  UNIDIRECTIONAL_SEQUENCE_RNN: beyondOne(weightsAlone([1, 2], 0, RECURRENT)),
};

/** Whose rules hold: ONE's alone, as for the drop-in front, or also ours where ONE has none or worse ones. */
export type RuleSet = "one" | "ours";

/** The rows with our rules in them. */
const WITH_OURS: Readonly<Record<string, OperatorRow>> = Object.fromEntries(
  Object.entries(OPERATORS).map(([op, row]) => [op, row.ours ? { ...row, ...row.ours } : row]),
);

/** The row of an operator name. Nodes of a graph have theirs already (`node.row`). */
export function rowOf(op: string, rules: RuleSet = "ours"): OperatorRow {
  return (rules === "ours" ? WITH_OURS : OPERATORS)[op] ?? BEYOND_ONE[op] ?? UNKNOWN;
}

/** Whether any rule of quantization exists for an operator (else it is float for `quantize`, §9.1 for the drop-in front). */
export function hasRule(row: OperatorRow): boolean {
  return row !== UNKNOWN && (row.in.length > 0 || row.rest?.role !== "raw" || row.constants !== "refused");
}

/** Role of operand `index`. */
export function roleOf(row: OperatorRow, index: number): OperandRole {
  return row.in[index] ?? row.rest ?? raw();
}

/** Indices of an operator's operands with a role. */
export function operandsWith(row: OperatorRow, count: number, role: OperandRole["role"]): number[] {
  const found: number[] = [];
  for (let index = 0; index < count; index++) if (roleOf(row, index).role === role) found.push(index);
  return found;
}
