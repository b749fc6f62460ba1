/**
 * TARGETS: what a runtime makes of a quantized model, as data. A target is a row, an operator of it a row of that.
 *
 * Passes, `quantize`, `check` and `verify` read these rows and mention no target and no operator by name. What is said of onert was
 * measured with its cpu backend (docs/targets.md, scripts/check-onert.py); an operator without a row has no kernel there.
 */
import type { Dialect } from "../model/index.ts";
import type { Dtype } from "../model/tensor-types.ts";
import type { SchemeName, WeightScheme } from "./schemes.ts";

/** How many scales the weights of an operator may have. */
export type WeightGranularity = "per tensor" | "per channel" | "any";

/** What goes wrong where a rule is broken: the runtime says so, or it computes other numbers without a word. */
export type Consequence = "refused" | "wrong";

export interface TargetOperator {
  /** dtypes of activations that its kernel computes with, FLOAT32 among them; with none of them there is no kernel. */
  readonly dtypes: readonly Dtype[];
  /** dtypes of its results, where they are others. */
  readonly results?: readonly Dtype[];
  /** Quantized weights of a quantized operator; absent = any. */
  readonly weights?: WeightGranularity;
  /** Quantized weights of an operator with float activations: dtypes and granularity; absent = there is no kernel for it. */
  readonly weightsAlone?: { readonly dtypes: readonly Dtype[]; readonly granularity: WeightGranularity };
  /** The result must have scale and zero point of this operand, because the kernel copies integers. */
  readonly tied?: { readonly operand: number; readonly otherwise: Consequence };
  /** Operands that have to be there, however optional the format calls them; and as many as it takes. */
  readonly operands?: { readonly least?: number; readonly most?: number };
  /** It takes operands that are absent in between (−1 in the file). */
  readonly absentOperands?: true;
  /** Integers that are no quantized values (INT32 …) are not computed with. */
  readonly noIntegers?: true;
  /** Fewest and most dimensions of operand 0. */
  readonly rank?: { readonly least?: number; readonly most?: number };
  /** Values that a constant operand may not have. */
  readonly values?: { readonly operand: number; readonly not: "negative" | "zero" };
  /** All operands but the first have to be constants. */
  readonly constants?: true;
  /** Shapes of all operands have to fit as numpy fits them. */
  readonly broadcasts?: true;
  /** It has a kernel for quantized activations that is of no use; `quantize` keeps the operator float. */
  readonly keepFloat?: string;
  /** Its results are other ones whatever the dtypes are. */
  readonly alwaysWrong?: string;
  /** Highest operator version that the kernel knows; absent = any. */
  readonly version?: number;
  /** Something to know that is no fault. */
  readonly remark?: string;
}

export interface Target {
  /** As `--target` takes it. */
  readonly name: string;
  /** As sentences call it. */
  readonly runtime: string;
  /** The scheme that is meant where none is named. */
  readonly scheme: SchemeName;
  /** Kinds of schemes of weights alone that it has kernels for. */
  readonly weightSchemes: readonly WeightScheme["kind"][];
  /** Formats that it loads. */
  readonly formats: readonly Dialect[];
  /** dtypes that `quantize` may give to activations, inputs and outputs; and why not the others. */
  readonly activations: readonly Dtype[];
  readonly otherwise: string;
  /** Prepare steps without which models of any kind cannot run there, and those that only quantized ones need. */
  readonly prepare: { readonly always: readonly string[]; readonly quantized: readonly string[] };
  /** float16 constants have to be float32 ones in the file. */
  readonly foldsFloat16: boolean;
  /** −1 of a shape signature is taken for the dimension itself, so signatures are left out. */
  readonly dropsShapeSignatures: boolean;
  readonly operators: Readonly<Record<string, TargetOperator>>;
}

const FLOAT: readonly Dtype[] = ["FLOAT32"];
const UINT8: readonly Dtype[] = ["FLOAT32", "UINT8"];

const floatOnly: TargetOperator = { dtypes: FLOAT };
const uint8: TargetOperator = { dtypes: UINT8 };
/** Measured equal to uint8; `quantize` makes none, because FULLY_CONNECTED and MEAN have no int8 kernel. */
const INT8: readonly Dtype[] = ["FLOAT32", "UINT8", "INT8"];
const int8: TargetOperator = { dtypes: INT8 };
/** Copies integers, and says nothing where they mean something else then. */
const copies = (otherwise: Consequence = "wrong"): TargetOperator => ({
  dtypes: UINT8,
  tied: { operand: 0, otherwise },
});

const ONERT: Target = {
  name: "onert",
  runtime: "onert's cpu backend",
  scheme: "uint8",
  weightSchemes: [],
  formats: ["circle", "tflite"],
  activations: ["UINT8", "FLOAT32"],
  otherwise: "it takes uint8 (and float32) only",
  prepare: {
    always: ["static-shapes", "reshape-shape", "decompose-prelu", "decompose-hard-swish", "zero-bias"],
    quantized: ["relu-to-mul", "global-pool-to-mean"],
  },
  foldsFloat16: true,
  dropsShapeSignatures: true,
  operators: {
    ABS: floatOnly,
    ADD: int8,
    ADD_N: floatOnly,
    ARG_MAX: uint8,
    ARG_MIN: uint8,
    AVERAGE_POOL_2D: { ...copies(), dtypes: INT8 },
    BATCH_MATMUL: floatOnly,
    BATCH_TO_SPACE_ND: copies(),
    BROADCAST_TO: floatOnly,
    CAST: floatOnly,
    CONCATENATION: int8,
    CONV_2D: { dtypes: UINT8, operands: { least: 3 }, weightsAlone: { dtypes: ["INT8"], granularity: "per channel" } },
    COS: floatOnly,
    DEPTHWISE_CONV_2D: { dtypes: UINT8, operands: { least: 3 } },
    DEPTH_TO_SPACE: { ...copies(), dtypes: INT8 },
    DEQUANTIZE: { dtypes: ["UINT8"], results: FLOAT },
    DIV: floatOnly,
    ELU: floatOnly,
    EQUAL: uint8,
    EXP: floatOnly,
    EXPAND_DIMS: { ...copies(), dtypes: INT8, rank: { least: 1 } },
    FILL: floatOnly,
    FLOOR: floatOnly,
    FLOOR_DIV: floatOnly,
    FLOOR_MOD: { dtypes: FLOAT, noIntegers: true },
    FULLY_CONNECTED: {
      dtypes: UINT8,
      absentOperands: true,
      weights: "per tensor",
      weightsAlone: { dtypes: ["INT8"], granularity: "per tensor" },
    },
    GATHER: uint8,
    GELU: floatOnly,
    GREATER: uint8,
    GREATER_EQUAL: uint8,
    IF: floatOnly,
    L2_NORMALIZATION: floatOnly,
    LEAKY_RELU: floatOnly,
    LESS: uint8,
    LESS_EQUAL: uint8,
    LOG: floatOnly,
    LOGICAL_AND: floatOnly,
    LOGICAL_NOT: floatOnly,
    LOGICAL_OR: floatOnly,
    LOGISTIC: uint8,
    LOG_SOFTMAX: uint8,
    MAXIMUM: floatOnly,
    MAX_POOL_2D: copies(),
    MEAN: { dtypes: UINT8, rank: { most: 4 } },
    MINIMUM: floatOnly,
    MUL: int8,
    NEG: floatOnly,
    NOT_EQUAL: uint8,
    ONE_HOT: floatOnly,
    PACK: floatOnly,
    PAD: { ...copies("refused"), dtypes: INT8 },
    POW: floatOnly,
    QUANTIZE: { dtypes: FLOAT, results: ["UINT8"] },
    RANGE: floatOnly,
    RANK: uint8,
    REDUCE_MAX: floatOnly,
    REDUCE_PROD: floatOnly,
    RELU: floatOnly,
    RELU6: floatOnly,
    RESHAPE: { dtypes: INT8, operands: { least: 2 }, values: { operand: 1, not: "zero" } },
    RESIZE_BILINEAR: {
      ...copies(),
      dtypes: INT8,
      remark: "truncates where others round: results are a third of a step too low",
    },
    RMS_NORM: floatOnly,
    ROPE: floatOnly,
    ROUND: floatOnly,
    RSQRT: floatOnly,
    SELECT: { dtypes: FLOAT, broadcasts: true },
    SELECT_V2: floatOnly,
    SHAPE: uint8,
    SIN: floatOnly,
    SLICE: { ...copies(), values: { operand: 1, not: "negative" } },
    SOFTMAX: int8,
    SPACE_TO_BATCH_ND: copies(),
    SPACE_TO_DEPTH: copies(),
    SPLIT: uint8,
    SPLIT_V: { dtypes: UINT8, alwaysWrong: "it is computed wrongly, in float too" },
    SQRT: floatOnly,
    SQUARE: floatOnly,
    SQUARED_DIFFERENCE: floatOnly,
    SQUEEZE: { ...copies(), dtypes: INT8 },
    STRIDED_SLICE: floatOnly,
    SUB: int8,
    SUM: { dtypes: UINT8, keepFloat: "its uint8 kernel wraps around instead of saturating" },
    TANH: uint8,
    TILE: floatOnly,
    TRANSPOSE: uint8,
    UNIDIRECTIONAL_SEQUENCE_LSTM: { dtypes: FLOAT, absentOperands: true, constants: true },
    UNPACK: floatOnly,
    WHILE: { dtypes: FLOAT, operands: { most: 1 } },
    ZEROS_LIKE: floatOnly,
  },
};

export const TARGETS = { onert: ONERT } as const satisfies Record<string, Target>;

/** Names that `--target` takes. */
export const TARGET_NAMES = { onert: "onert" } as const satisfies Record<keyof typeof TARGETS, string>;

/** The row of a name that was checked already; undefined without one. */
export function targetNamed(name: keyof typeof TARGETS | undefined): Target | undefined {
  return name && TARGETS[name];
}

/** The runtime that files of a format are for, where a person names none: its rules are told, not applied. */
export const DEFAULT_TARGETS: Readonly<Partial<Record<Dialect, Target>>> = { circle: ONERT };

/** What a target makes of a kind of operator; without a row it has no kernel. */
export function targetRow(target: Target, op: string): TargetOperator {
  return target.operators[op] ?? NO_KERNEL;
}

const NO_KERNEL: TargetOperator = { dtypes: [] };
