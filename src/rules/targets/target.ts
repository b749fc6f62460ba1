/** What a row of the table of targets can say (src/rules/targets.ts). A new rule is a new member here, read by one function of src/passes/target. */
import type { Dialect } from "../../model/index.ts";
import type { Dtype } from "../../model/tensor-types.ts";
import type { Family, FixedParameters, SchemeName, WeightScheme } from "../schemes.ts";

/** How many scales the weights of an operator may have. */
export type WeightGranularity = "per tensor" | "per channel" | "any";

/**
 * What goes wrong where a rule is broken: the runtime says so, it computes other numbers without a word, or (of a compiler for an NPU) the
 * operator runs on the CPU, which is slower and no fault.
 */
export type Consequence = "refused" | "wrong" | "on the CPU";

/** A number of an operator that a limit is about (src/passes/target/limits.ts). */
export type Quantity =
  | "batch"
  | "dimensions above 1 beside the last three"
  | "dimensions above 1 of the result"
  | "rank of the result"
  | "last dimension"
  | "stride height"
  | "stride width"
  | "slice strides"
  | "kernel height"
  | "kernel width"
  | "kernel elements"
  | "elements that are reduced"
  | "enlargement"
  | "sum of a filter's weights"
  | "rank of the bias"
  | "bits of a bias";

/** Where a number of an operator has to lie. */
export interface Limit {
  readonly of: Quantity;
  readonly least?: number;
  readonly most?: number;
  readonly only?: readonly number[];
  /** Only where the operator pads like this. */
  readonly padding?: "SAME" | "VALID";
  /** Only with activations of these dtypes. */
  readonly dtypes?: readonly Dtype[];
}

export interface TargetOperator {
  /** dtypes of activations that its kernel computes with, FLOAT32 among them; with none of them there is no kernel. */
  readonly dtypes: readonly Dtype[];
  /** How its kernel of a dtype rounds, where that is not to the nearest (src/passes/transform/kernel-rounding.ts). */
  readonly rounds?: Readonly<Partial<Record<Dtype, "twice" | "down" | "outward" | "up">>>;
  /** With other dtypes it computes all the same, with the integers instead of what they stand for. */
  readonly ignoresScales?: true;
  /** dtypes of its results, where they are others. */
  readonly results?: readonly Dtype[];
  /** dtypes of its results by that of its operand, where not every one goes to every other. */
  readonly conversions?: Readonly<Partial<Record<Dtype, readonly Dtype[]>>>;
  /** Quantized weights of a quantized operator; absent = any. */
  readonly weights?: WeightGranularity;
  /** dtypes of activations with which the weights have one scale, whatever `weights` says. */
  readonly perTensorWith?: readonly Dtype[];
  /** Likewise dtypes of weights. */
  readonly perTensorWeights?: readonly Dtype[];
  /** dtypes of weights by that of the activations; absent = any. */
  readonly weightDtypes?: Readonly<Partial<Record<Dtype, readonly Dtype[]>>>;
  /** dtypes of activations with which weights have zero point 0. */
  readonly symmetricWeights?: readonly Dtype[];
  /** dtypes of biases by that of the activations; absent = any. */
  readonly biasDtypes?: Readonly<Partial<Record<Dtype, readonly Dtype[]>>>;
  /** Quantized weights of an operator with float activations: dtypes and granularity; absent = there is no kernel for it. */
  readonly weightsAlone?: { readonly dtypes: readonly Dtype[]; readonly granularity: WeightGranularity };
  /** The result must have scale and zero point of these operands, because the kernel copies integers (but rescales those of some dtypes). */
  readonly tied?: {
    readonly operands: readonly number[] | "all";
    readonly otherwise: Consequence;
    readonly rescales?: readonly Dtype[];
    /** Only with activations of these dtypes; absent = all. */
    readonly dtypes?: readonly Dtype[];
    /** So far scales may differ. */
    readonly within?: number;
  };
  /** Parameters that its result always has, by dtype; another scale may be off by a thousandth. */
  readonly fixed?: Readonly<Partial<Record<Dtype, FixedParameters>>>;
  /** Fused activations that its integer kernel takes; absent = any. */
  readonly fused?: readonly string[];
  /** Integers that a quantized operand may not have: the kernel ends the run. */
  readonly domain?: { readonly operand: number; readonly not: "negative" };
  /** Operands that have to be there, however optional the format calls them; and as many as it takes. */
  readonly operands?: { readonly least?: number; readonly most?: number };
  /** As many operands as it wants with quantized activations. */
  readonly operandsQuantized?: number;
  /** So many places for operands, absent ones included. */
  readonly places?: number;
  /** It takes operands that are absent in between (−1 in the file). */
  readonly absentOperands?: true;
  /** Integers that are no quantized values (INT32 …) are not computed with. */
  readonly noIntegers?: true;
  /** Fewest and most dimensions of operand 0. */
  readonly rank?: { readonly least?: number; readonly most?: number };
  /** Other numbers of it that have limits, where its activations are quantized. */
  readonly limits?: readonly Limit[];
  /** Values that a constant operand may not have. */
  readonly values?: { readonly operand: number; readonly not: "negative" | "zero" };
  /** All operands but the first have to be constants; or those that are named. */
  readonly constants?: true | readonly number[];
  /** Shapes of all operands have to fit as numpy fits them. */
  readonly broadcasts?: true;
  /** It has a kernel for quantized activations that is of no use; `quantize` keeps the operator float. */
  readonly keepFloat?: string;
  /** Of an NPU: its compiler ends where the operator is float, instead of leaving it to the CPU; why. */
  readonly neverFloat?: string;
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
  /** The scheme that is meant where none is named; the first of those that it takes. */
  readonly scheme: SchemeName;
  readonly schemes: readonly SchemeName[];
  /** Kinds of schemes of weights alone that it has kernels for. */
  readonly weightSchemes: readonly WeightScheme["kind"][];
  /** Whose rules its kernels follow, where a file says nothing of it. */
  readonly family: Family;
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
  /** Rows by kind of operator, made when they are asked for first: a run needs those of one target at most. */
  readonly operators: () => Readonly<Record<string, TargetOperator>>;
  /** Builtin operators without a row. */
  readonly others: TargetOperator;
  /** Custom operators that it has, by their names; `all` where a person says so. */
  readonly custom?: readonly string[] | "all";
  /** Integers without a scale are numbers as they are, whose kernels the rows say nothing of. */
  readonly leavesPlain?: true;
  /** dtypes of activations that have zero point 0. */
  readonly symmetric?: readonly Dtype[];
  /** Activations have one scale; more are computed wrongly, or end loading. */
  readonly oneScale?: true;
  /** Weights of 8 bits should not have −128; why. */
  readonly narrowWeights?: string;
  /** Of weights with several scales where it takes one, it uses the first without a word; others refuse them. */
  readonly takesFirstScale?: true;
  /** What runs the operators that an NPU does not take: then rows are those of the NPU's compiler, and what breaks them runs there. */
  readonly host?: Target;
}

/** What a target makes of a kind of operator; custom operators by their name. */
export function targetRow(target: Target, op: string, customCode?: string): TargetOperator {
  if (op === "CUSTOM") return isKnown(target, customCode ?? "") ? ANY : NO_KERNEL;
  return target.operators()[op] ?? target.others;
}

/** The row of what computes an operator: the target, or behind an NPU's compiler the CPU. */
export function kernelRow(target: Target, op: string, customCode?: string): TargetOperator {
  return targetRow(target.host ?? target, op, customCode);
}

/** Whether an operator is computed with activations of a dtype, by the NPU or by the CPU. */
export function hasKernel(target: Target, op: string, dtype: Dtype): boolean {
  return targetRow(target, op).dtypes.includes(dtype) || kernelRow(target, op).dtypes.includes(dtype);
}

function isKnown({ custom = [] }: Target, name: string): boolean {
  return custom === "all" || custom.includes(name);
}

const NO_KERNEL: TargetOperator = { dtypes: [] };
const ANY: TargetOperator = { dtypes: ["FLOAT32", "INT8", "UINT8", "INT16"], absentOperands: true };
