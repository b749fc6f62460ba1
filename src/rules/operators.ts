/**
 * THE OPERATOR TABLE: one row an operator, everything quantization knows of it (docs/reference.md, Appendix A).
 *
 * Passes read rows and mention no operator by name. A row says what each operand is for, what the result's parameters
 * are, what happens to constant operands, whether the operator may have a dtype of its own (mixed precision), whether
 * the verifier looks at it, and how a quantized model is turned back into a float one. Adding an operator is one row
 * and one golden case (test/operators fails on a row without a line and a case there).
 */
import { once } from "../base/once.ts";
import type { Dtype } from "../model/tensor-types.ts";
import type { DynamicRule, FamilyRule, OperandRole, OperatorRow, ResultRole, SpecialKind } from "./operator-row.ts";
import type { Family, FixedParameters } from "./schemes.ts";

export type { BackwardRule, DtypeRule, OperandRole, OperatorRow, ResultRole } from "./operator-row.ts";

const activation: OperandRole = { role: "activation" };
const asWeights: OperandRole = { role: "activation", constant: "as weights" };
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

const I8: Dtype[] = ["INT8"];
const I16: Dtype[] = ["INT8", "INT16"];
/** Sums shift their operands up by 20 and 15 bits: a result that is finer beside them ends the run, or is wrong without a word (measured). */
const SUMS: FamilyRule["finest"] = { INT8: 2 ** -16, INT16: 2 ** -14 };

/** LiteRT has kernels for quantized activations of these dtypes. */
const litert = (dtypes: readonly Dtype[], more: Omit<FamilyRule, "dtypes"> = {}) => ({
  families: { litert: { dtypes, ...more } },
});

/** Likewise; they copy integers of these operands. */
const copies = (dtypes: readonly Dtype[], tied: FamilyRule["tied"] = [0], more: FamilyRule = {}) =>
  litert(dtypes, { tied, ...more });
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

/**
 * Two activations compared: the result is BOOL. No integer kernel of LiteRT's does that soundly: those of int16 compare raw integers, those of
 * int8 compare 256 times the values, rounded (measured).
 */
const comparison = (more: Partial<OperatorRow> = {}): OperatorRow => ({
  ...litert([], { unsound: I16 }),
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
  ABS: unary({ ...litert(I16), fake: qdq }),
  ADD: binary({
    ...litert(I16, { finest: SUMS }),
    fuses: true,
    takesRelu: true,
    arithmetic: "add",
    verify: "roles or all integer",
    fake: qdq,
  }),
  ADD_N: variadic(),
  ARG_MAX: {
    ...litert(I8),
    ignoresBelow: 0,
    in: [activation, raw(...INDEX)],
    out: { role: "raw" },
    constants: "own",
    verify: "index result",
    fake: nothing,
    dtype: { option: "outputType" },
  },
  ARG_MIN: {
    ...litert(I8, { row: { verify: "index result" } }),
    ignoresAbove: 0,
    in: [activation, raw()],
    out: { role: "raw" },
    constants: "own",
    dtype: { option: "outputType" },
  },
  AVERAGE_POOL_2D: unary({
    ...copies(I16),
    averages: "window",
    fuses: true,
    takesRelu: true,
    constants: "refused",
    verify: "roles",
    fake: qdq,
  }),
  BATCH_TO_SPACE_ND: unary({ ...copies(I16), passes: [0], in: [activation, raw(), raw()], verify: "roles" }),
  BATCH_MATMUL: binary({
    ...litert(I16, {
      row: { in: [activation, asWeights] },
      weights: { operands: [1], axis: { usually: -1, option: "adjointRhs", otherwise: -2 } },
      dynamic: { dtypes: { INT8: {} }, asymmetric: true },
    }),
    heavy: true,
    fake: qdq,
  }),
  BROADCAST_TO: { ...copies(I16), passes: [0], in: [activation, raw()], out: recorded, constants: "own" },
  CAST: { in: [activation], out: recorded, constants: "refused", verify: "cast", fake: nothing, dtype: "own" },
  CEIL: { in: [activation], out: special("integer"), constants: "refused" },
  CONCATENATION: variadic({
    ...copies(I16, "all", { fused: "none", rescales: ["UINT8"] }),
    passes: "all",
    fuses: true,
    constants: "elsewhere",
    backward: { rule: "concat" },
    verify: "roles or all integer",
    fake: nothing,
  }),
  CONV_2D: convolution([activation, weights("filter", 0), bias], {
    ...litert(I16, weightsAlone([1], 0, { dtypes: { INT8: {}, INT4: {} } })),
    weightsOnly: true,
    zeroBias: true,
  }),
  DEPTH_TO_SPACE: unary({ ...copies(I8), passes: [0], verify: "roles", fake: nothing }),
  DEPTHWISE_CONV_2D: convolution([activation, weights("filter", 3), bias], {
    ...litert(I16, weightsAlone([1], 3, BYTES)),
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
  DIV: binary({
    ...litert(I16, { domain: { operand: 1, not: "zero" } }),
    fuses: true,
    takesRelu: true,
    arithmetic: "div",
    verify: "roles",
    fake: qdq,
  }),
  ELU: unary({ ...litert(I8), flat: { below: -20 }, verify: "roles" }),
  EQUAL: comparison(),
  EXP: unary({ ...litert(I16), ignoresBelow: 20, fake: qdq }),
  EXPAND_DIMS: {
    ...copies(I16),
    passes: [0],
    in: [activation, raw()],
    out: recorded,
    constants: "own",
    sameElements: true,
  },
  FLOOR: unary({ out: special("integer"), verify: "roles" }),
  FLOOR_DIV: binary({ out: special("integer"), verify: "roles" }),
  FLOOR_MOD: binary({ out: special("integer"), mixed: undefined }),
  FULLY_CONNECTED: convolution([activation, weights("weights", 0), bias], {
    ...litert(I16, weightsAlone([1], 0, { dtypes: MATRIX, asymmetric: true, blocks: { rows: 4, plain: true } })),
    weightsOnly: true,
    zeroBias: true,
  }),
  GATHER: unary({
    // A table of embeddings, or small change.
    ...copies(I16, [0], { weights: { operands: [0], axis: 0, least: 1024 } }),
    passes: [0],
    in: [activation, raw()],
    out: sameAs(0),
    fake: nothing,
  }),
  GELU: unary({ ...litert(I16), flat: { below: -10 }, verify: "roles", fake: qdq }),
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
  LEAKY_RELU: unary({ ...litert(I16), constants: "refused", fake: qdq }),
  LESS: comparison(),
  LESS_EQUAL: comparison(),
  LOCAL_RESPONSE_NORMALIZATION: unary({ verify: "roles" }),
  LOGICAL_AND: { in: [], rest: raw(), out: boolean, constants: "elsewhere" },
  LOGICAL_NOT: { in: [], rest: raw(), out: boolean, constants: "elsewhere" },
  LOGICAL_OR: { in: [], rest: raw("BOOL"), out: boolean, constants: "elsewhere", verify: "roles" },
  LOGISTIC: unary({
    ...litert(I16),
    flat: { below: -20, above: 20 },
    out: special("logistic"),
    verify: "roles",
    fake: qdq,
  }),
  LOG_SOFTMAX: unary({
    ...litert(I8, { fixed: { UINT8: fixed(16 / 256, 255), INT8: fixed(16 / 256, 127) } }),
    shiftsRows: true,
    constants: "refused",
    mixed: undefined,
    fake: qdq,
  }),
  MAX_POOL_2D: unary({
    ...copies(I16),
    ignoresBelow: 0,
    out: { role: "same", operand: 0, when: "tf-style-maxpool" },
    fuses: true,
    takesRelu: true,
    constants: "refused",
    verify: "roles",
    fake: qdq,
  }),
  MAXIMUM: binary({ ...copies(I16, "all"), elementwise: "max", fake: qdq }),
  MEAN: reduction({ ...litert(I16), verify: "roles", fake: qdq }),
  MINIMUM: binary({ ...copies(I16, "all"), elementwise: "min", fake: qdq }),
  MIRROR_PAD: unary({ ...copies(I16), passes: [0], in: [activation, raw("INT32")], verify: "roles" }),
  MUL: binary({
    ...litert(I16),
    fuses: true,
    takesRelu: true,
    arithmetic: "mul",
    verify: "roles or all integer",
    fake: qdq,
  }),
  NEG: unary({ negates: true, constants: "refused", fake: qdq }),
  NOT_EQUAL: comparison({ verify: "roles" }),
  ONE_HOT: {
    ...copies(I8, [2, 3]),
    in: [raw(...INDEX), raw("INT32"), activation, activation],
    out: recorded,
    constants: "elsewhere",
    mixed: "activations",
    backward: { rule: "all", operands: [2, 3], refuseOtherConstants: true },
    verify: "roles",
    dtype: { operand: 2 },
  },
  PACK: variadic({
    ...copies(I16, "all"),
    passes: "all",
    constants: "elsewhere",
    backward: { rule: "all", operands: "rest", refuseOtherConstants: true },
    verify: "roles",
    fake: nothing,
  }),
  PAD: unary({ ...copies(I16), in: [activation, raw("INT32")], verify: "roles", fake: qdq }),
  PADV2: {
    ...copies(I16, [0, 2]),
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
    ...litert(I16, { row: { in: [activation, asWeights] } }),
    in: [activation, unit("alpha")],
    slope: 1,
    out: recorded,
    constants: "elsewhere",
    mixed: "activations",
    verify: "roles",
    fake: qdq,
  },
  QUANTIZE: {
    ...litert(["INT8", "INT16", "UINT8"]),
    in: [activation],
    out: { role: "requantized", operand: 0 },
    constants: "refused",
    fake: "dequantize",
    dtype: "own",
  },
  REDUCE_ANY: { in: [activation, raw()], out: recorded, constants: "own" },
  REDUCE_MAX: reduction({ ...copies(I16), ignoresBelow: 0, verify: "roles", fake: qdq }),
  REDUCE_MIN: reduction({ ...copies(I16), ignoresAbove: 0 }),
  REDUCE_PROD: reduction({ ...litert(I16), fake: qdq }),
  RELU: unary({
    ...litert(I16),
    flat: { below: 0 },
    activation: "RELU",
    constants: "refused",
    verify: "roles",
    fake: qdq,
  }),
  RELU6: unary({ ...litert(I16), flat: { below: 0, above: 6 }, activation: "RELU6", constants: "refused", fake: qdq }),
  RESHAPE: unary({
    ...copies(I16),
    passes: [0],
    in: [activation, raw("INT32")],
    out: sameAs(0),
    backward: { rule: "operand", operand: 0 },
    verify: "reshape",
    fake: nothing,
    sameElements: true,
    shapeOperand: { operand: 1, option: "newShape" },
  }),
  // The int16 kernel is up to 84 steps off (measured).
  RESIZE_BILINEAR: unary({
    ...copies(I8, [0], { unsound: ["INT16"] }),
    in: [activation, raw()],
    verify: "roles",
    fake: qdq,
  }),
  RESIZE_NEAREST_NEIGHBOR: unary({ ...copies(I16), passes: [0], in: [activation, raw()], verify: "roles", fake: qdq }),
  REVERSE_SEQUENCE: unary({ ...copies(["INT16"]), passes: [0], in: [activation, raw()] }),
  RMS_NORM: {
    in: [activation, unit("gamma")],
    out: recorded,
    constants: "elsewhere",
    mixed: "activations",
    verify: "roles",
    fake: qdq,
  },
  // The int16 kernel is up to 200 steps off, and more for wider ranges (measured).
  RSQRT: unary({
    ...litert(I8, { unsound: ["INT16"], domain: { operand: 0, not: "negative" } }),
    verify: "roles",
    fake: qdq,
  }),
  SELECT_V2: {
    ...copies(I16, [1, 2]),
    passes: [1, 2],
    in: [raw(), activation, activation],
    out: recorded,
    constants: "own",
    dtype: { operand: 1 },
  },
  SLICE: unary({
    ...copies(I16),
    passes: [0],
    in: [activation, raw(...INDEX), raw(...INDEX)],
    verify: "roles",
    fake: nothing,
  }),
  // In int16 a step of the operand of 5 or more overflows (measured).
  SOFTMAX: unary({
    ...litert(I16, { coarsest: { INT16: 5 } }),
    ignoresBelow: 20,
    out: special("softmax"),
    verify: "roles",
    fake: qdq,
  }),
  SPACE_TO_BATCH_ND: unary({ ...copies(I16), passes: [0], in: [activation, raw(), raw()], verify: "roles" }),
  SPACE_TO_DEPTH: unary({ ...copies(I8), passes: [0], verify: "roles", fake: nothing }),
  SPLIT: unary({
    ...copies(I16, [1]),
    passes: [1],
    in: [raw(), activation],
    out: sameAs(1),
    multiple: true,
    verify: "same parameters",
    fake: nothing,
    dtype: { operand: 1 },
  }),
  SPLIT_V: unary({
    ...copies(I16),
    passes: [0],
    in: [activation, raw(), raw()],
    out: sameAs(0),
    multiple: true,
    verify: "same parameters",
    fake: nothing,
  }),
  SQRT: unary({ ...litert(I16, { domain: { operand: 0, not: "negative" } }), verify: "roles", fake: qdq }),
  SQUARED_DIFFERENCE: binary({ ...litert(I8), constants: "refused", mixed: undefined, fake: qdq }),
  SQUEEZE: unary({ ...copies(I16), passes: [0], sameElements: true }),
  STRIDED_SLICE: unary({
    ...copies(I16),
    passes: [0],
    in: [activation, raw(), raw(), raw()],
    out: sameAs(0),
    verify: "same parameters",
    fake: nothing,
  }),
  SUB: binary({ ...litert(I16, { finest: SUMS }), fuses: true, takesRelu: true, arithmetic: "sub", fake: qdq }),
  SUM: reduction({ ...litert(I16), verify: "roles", fake: qdq }),
  TANH: unary({ ...litert(I16), flat: { below: -10, above: 10 }, out: special("tanh"), verify: "roles", fake: qdq }),
  TILE: unary({ ...copies(I16), passes: [0], in: [activation, raw()] }),
  TOPK_V2: unary({ ...copies(I16), in: [activation, raw()], multiple: true }),
  TRANSPOSE: unary({
    ...copies(I16),
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
      ...litert(I16, weightsAlone([1], 0, BYTES)),
      dtype: { operand: 2 },
      since: { bias: 3, activation: 4 },
    },
  ),
  UNIQUE: unary({ constants: "refused", multiple: true }),
  UNPACK: unary({
    ...copies(I16),
    passes: [0],
    out: sameAs(0),
    multiple: true,
    verify: "same parameters",
    fake: nothing,
  }),

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
  FILL: unruled({ ...copies(I16, [1], { row: { in: [raw(), activation] } }), dtype: { operand: 1 } }),
  GATHER_ND: unruled({ ...copies(I16, [0], { row: { in: [activation, raw()] } }), passes: [0] }),
  GRU: unruled(),
  HARD_SWISH: unruled({ ...litert(I8), gated: true, ours: unary({ verify: "roles", fake: qdq }) }),
  IF: unruled({ multiple: true, dtype: { subgraph: "thenSubgraphIndex", side: "outputs" } }),
  L2_NORMALIZATION: unruled({
    ...litert(I8, {
      fused: "none",
      fixed: { UINT8: fixed(1 / 128, 128), INT8: fixed(1 / 128, 0) },
      row: { in: [activation] },
    }),
    fuses: true,
  }),
  L2_POOL_2D: unruled({ fuses: true }),
  // The int16 kernel is up to 34 steps off (measured).
  LOG: unruled({
    ...litert(I8, { unsound: ["INT16"], domain: { operand: 0, not: "negative" }, row: { in: [activation] } }),
  }),
  MATRIX_DIAG: unruled(),
  MATRIX_SET_DIAG: unruled(),
  NON_MAX_SUPPRESSION_V4: unruled({ multiple: true, dtype: { results: ["INT32", "INT32"] } }),
  NON_MAX_SUPPRESSION_V5: unruled({ multiple: true, dtype: { results: ["INT32", "FLOAT32", "INT32"] } }),
  RANGE: unruled(),
  RANK: unruled({ looksAtShapeOnly: true, dtype: { fixed: "INT32" } }),
  RELU_0_TO_1: unruled({ ...litert(I8, { row: { in: [activation] } }) }),
  RELU_N1_TO_1: unruled({ ...litert(I8, { row: { in: [activation] } }), activation: "RELU_N1_TO_1" }),
  REVERSE_V2: unruled({ ...copies(I16, [0], { row: { in: [activation, raw()] } }), passes: [0] }),
  ROPE: unruled(),
  ROUND: unruled(),
  SCATTER_ND: unruled({ dtype: { operand: 1 } }),
  SEGMENT_SUM: unruled(),
  SELECT: unruled({
    ...copies(I16, [1, 2], { row: { in: [raw(), activation, activation] } }),
    passes: [1, 2],
    dtype: { operand: 1 },
  }),
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
  // The value is tied to all that read and write the variable (src/passes/litert/variables.ts).
  ASSIGN_VARIABLE: beyondOne({ dtypes: I16, row: { in: [raw(), activation] } }),
  BIDIRECTIONAL_SEQUENCE_RNN: beyondOne(weightsAlone([1, 2, 5, 6, 10, 11], 0, RECURRENT)),
  CONV_3D: beyondOne(weightsAlone([1], 4)),
  CONV_3D_TRANSPOSE: beyondOne(weightsAlone([1], 3)),
  DYNAMIC_UPDATE_SLICE: beyondOne({
    dtypes: I16,
    tied: [0, 1],
    row: { passes: [0, 1], in: [activation, activation, raw()] },
  }),
  EMBEDDING_LOOKUP: beyondOne({
    dtypes: I8,
    tied: [1],
    row: { passes: [1], in: [raw(), activation], dtype: { operand: 1 } },
    ...weightsAlone([1], 0, { dtypes: MATRIX, exact: true, blocks: { rows: 1 } }),
  }),
  LSTM: beyondOne(weightsAlone([...upTo(1, 11), 16], 0, RECURRENT)),
  READ_VARIABLE: beyondOne({ dtypes: I16, row: { in: [raw()] } }),
  RNN: beyondOne(weightsAlone([1, 2], 0, RECURRENT)),
  UNIDIRECTIONAL_SEQUENCE_RNN: beyondOne(weightsAlone([1, 2], 0, RECURRENT)),
};

/** Whose rules hold: ONE's alone, as for the drop-in front; also ours where ONE has none or worse ones; those of LiteRT's kernels. */
export type RuleSet = "one" | "ours" | "litert";

/** The rows with our rules in them. */
const WITH_OURS: Readonly<Record<string, OperatorRow>> = Object.fromEntries(
  Object.entries(OPERATORS).map(([op, row]) => [op, row.ours ? { ...row, ...row.ours } : row]),
);

/**
 * The rows as LiteRT's kernels are: any activation may be a constant, quantized by its own values or tied; any layer may have a dtype of its
 * own; nothing is handed on from ONE's rules.
 */
const forLitert = once(
  (): Readonly<Record<string, OperatorRow>> =>
    Object.fromEntries(
      Object.entries({ ...WITH_OURS, ...BEYOND_ONE }).map(([op, row]) => {
        const rule = row.families?.litert;
        if (!rule?.dtypes) return [op, row];
        const { backward: _, ...others } = row;
        const seen = {
          constants: "own",
          mixed: "activations",
          ...(row.out.role !== "requantized" && { verify: row.verify ?? ("roles" as const) }),
          fake: row.fake ?? qdq,
        } as const;
        return [op, { ...others, ...seen, ...rule.row }];
      }),
    ),
);

const ROWS: Readonly<Record<RuleSet, () => Readonly<Record<string, OperatorRow>>>> = {
  one: () => OPERATORS,
  ours: () => WITH_OURS,
  litert: forLitert,
};

/** Whose rules a family of schemes follows. */
export const RULES_OF: Readonly<Record<Family, RuleSet>> = { one: "ours", litert: "litert" };

/** The row of an operator name. Nodes of a graph have theirs already (`node.row`). */
export function rowOf(op: string, rules: RuleSet = "ours"): OperatorRow {
  return ROWS[rules]()[op] ?? BEYOND_ONE[op] ?? UNKNOWN;
}

/** All kinds that a set of rules has rows of. */
export function kindsOf(rules: RuleSet): [op: string, row: OperatorRow][] {
  return Object.entries(ROWS[rules]());
}

/** Operands that have the parameters of an operator's results in a family, by index; `count` operands are there. */
export function tiedOperands(row: OperatorRow, count: number, family: Family): readonly number[] {
  return tiedIn(row.families?.[family]?.tied ?? [], row, count);
}

/** The indices that a list of tied operands means; `all` = every activation. */
export function tiedIn(tied: readonly number[] | "all", row: OperatorRow, count: number): readonly number[] {
  return tied === "all" ? operandsWith(row, count, "activation") : tied.filter((index) => index < count);
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
