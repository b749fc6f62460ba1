/** What a row of the operator table (src/rules/operators.ts) can say. A new rule is a new member here, read by one pass. */
import type { Dtype } from "../model/tensor-types.ts";
import type { Family, FixedParameters, PredefinedKind } from "./schemes.ts";

/** Functions with a fixed range, and those whose scale is an integer (§3.8). */
export type SpecialKind = PredefinedKind | "integer";

/** What an operand is for. */
export type OperandRole =
  /** Feature map: quantized per tensor. */
  | { role: "activation" /** A constant is quantized per tensor like weights. */; constant?: "as weights" }
  /** Filter or weight matrix: quantized by its own values, per tensor or along `axis`. */
  | { role: "weights"; name: string; axis: number }
  /** Quantized with scale (input × weights), to the accumulator's width. */
  | { role: "bias"; name: string }
  /** gamma, beta, alpha: one value per channel of the last axis; per channel each is stored as ±1 with its size as scale. */
  | { role: "unit"; name: string }
  /** Axes, shapes, indices, booleans: untouched. `dtypes` is what the verifier accepts (anything when empty). */
  | { role: "raw"; dtypes: readonly Dtype[]; constant?: string };

/** Where the result's parameters come from. */
export type ResultRole =
  /** Recorded range. */
  | { role: "activation" }
  /** Recorded range first, then the parameters of operand `operand` (forward propagation). */
  | { role: "same"; operand: number; when?: "tf-style-maxpool" }
  /** Fixed by the function's own range, or an integer scale (§3.8). */
  | { role: "special"; kind: SpecialKind }
  /** Quantize operator: follows its operand's kind in its own dtype (§3.10). */
  | { role: "requantized"; operand: number }
  /** Not a quantized value. */
  | { role: "boolean" }
  | { role: "raw" };

/** How an operator hands its parameters to its operands (backward propagation, §3.9). */
export type BackwardRule =
  | { rule: "concat" }
  | { rule: "all"; operands: "rest" | readonly number[]; refuseOtherConstants: true }
  | { rule: "pad-value" }
  | { rule: "operand"; operand: number };

/** Result dtype (inference after quantization, §2.1): that of an operand, fixed, from an option, or what it is. */
export type DtypeRule =
  | { operand: number }
  | { fixed: Dtype }
  | { option: string }
  | { results: readonly Dtype[] }
  /** Declared dtype of the inputs or outputs of the subgraph that an option names. */
  | { subgraph: string; side: "inputs" | "outputs" }
  | "own";

/** Constants of an operator that weights alone are made of (WEIGHT_SCHEMES), in schemes whose kernels compute in float. */
export interface WeightsRule {
  readonly operands: readonly number[];
  /** Dimension of the channels, below 0 from the end; another one where an option is set. */
  readonly axis: number | { readonly usually: number; readonly option: string; readonly otherwise: number };
  /** Smaller ones are no tables: so many elements at least. */
  readonly least?: number;
}

/** What the hybrid kernels of an operator take: float activations and results, integer weights. They round activations themselves. */
export interface DynamicRule {
  /** dtypes of weights, and what they demand of the weights' shape; all weights of one operator have the same. */
  readonly dtypes: Readonly<Partial<Record<Dtype, { readonly columns?: number }>>>;
  /** One scale for each operand; else one for each channel. */
  readonly perTensor?: true;
  /** Has the option to round activations asymmetrically (`asymmetricQuantizeInputs`), which is closer. */
  readonly asymmetric?: true;
  /** Rounds nothing: it gives the values that the integers stand for. */
  readonly exact?: true;
  /** Takes a scale for each block of a row of its matrix, with so many rows at least; `plain`: it forgets a fused activation then. */
  readonly blocks?: { readonly rows: number; readonly plain?: true };
}

/** What holds for an operator in the schemes of one family. */
export interface FamilyRule {
  /** dtypes of quantized activations that its kernels compute with; absent = it stays float. */
  readonly dtypes?: readonly Dtype[];
  /** dtypes that it has kernels for which are not to be used: they compute something else, or far too coarsely. */
  readonly unsound?: readonly Dtype[];
  /** Operands that have the parameters of its result, because the kernel copies integers; `all`: every activation. */
  readonly tied?: readonly number[] | "all";
  /** dtypes whose kernel rescales all the same, so that nothing is tied. */
  readonly rescales?: readonly Dtype[];
  /** Its result always has these parameters, by the dtype of its activations. */
  readonly fixed?: Readonly<Partial<Record<Dtype, FixedParameters>>>;
  /** Values that an operand may not have: the kernel ends the run, or gives nonsense. */
  readonly domain?: { readonly operand: number; readonly not: "negative" | "zero" };
  /** The result's scale is at least so many of the larger scale of its operands, by dtype. */
  readonly finest?: Readonly<Partial<Record<Dtype, number>>>;
  /** The scale of operand 0 is below this, by dtype. */
  readonly coarsest?: Readonly<Partial<Record<Dtype, number>>>;
  /** A fused activation other than NONE: `none` = no kernel takes one; absent = those with a range of integers (RELU, RELU6, RELU_N1_TO_1). */
  readonly fused?: "none";
  /** Members of its row that are others for this family. */
  readonly row?: Partial<Omit<OperatorRow, "ours" | "families">>;
  /** Its weights, for schemes of weights alone. */
  readonly weights?: WeightsRule;
  /** Its kernels for integer weights with float activations; absent: it has none. */
  readonly dynamic?: DynamicRule;
}

export interface OperatorRow {
  readonly in: readonly OperandRole[];
  /** Role of operands past `in`. */
  readonly rest?: OperandRole;
  readonly out: ResultRole;
  /** Always has separate result nodes (SPLIT …). */
  readonly multiple?: true;
  /** May carry a fused activation function. */
  readonly fuses?: true;
  /** Its weights may be quantized alone, with float activations (§5.4). */
  readonly weightsOnly?: true;
  /** Constant activations: quantized by their own values, by another phase, or an error of the reference (§3.7). */
  readonly constants: "own" | "elsewhere" | "refused";
  /** Operands that get a Quantize operator when this operator has a dtype of its own; none = not possible (§4.1). */
  readonly mixed?: "activations" | readonly number[];
  readonly backward?: BackwardRule;
  /** What the verifier checks beside dtypes and granularity by role; absent = not checked at all (§6). */
  readonly verify?: "roles" | "roles or all integer" | "same parameters" | "cast" | "index result" | "reshape";
  /** Turning quantized into float (§5.6): Quantize+Dequantize after it, nothing, or Dequantize; absent = not possible there. */
  readonly fake?: "quantize-dequantize" | "nothing" | "dequantize";
  /** Multiplies and sums along a dimension: so much work that it pays to quantize it alone, borders and all. */
  readonly heavy?: true;
  /** Does not look at its operand's values, so any dtype will do. */
  readonly looksAtShapeOnly?: true;
  /** Result dtype; absent = that of operand 0. */
  readonly dtype?: DtypeRule;
  /** The result has the elements of operand 0 in their order, whatever its shape. */
  readonly sameElements?: true;
  /** What it computes of two operands element by element, where that can become part of weights and bias before it. */
  readonly arithmetic?: "add" | "sub" | "mul" | "div";
  /** The result consists of values of these operands, unchanged: all of them, or some. */
  readonly passes?: "all" | readonly number[];
  /** The result is the operand times −1. */
  readonly negates?: true;
  /** The larger or the smaller of its operands, element by element. */
  readonly elementwise?: "max" | "min";
  /**
   * Of the values that it looks at together (a row, a window), one so far below the largest leaves no trace in the result:
   * e^-20 of a softmax, and anything below it in a maximum (0). `ignoresAbove` likewise of the smallest.
   */
  readonly ignoresBelow?: number;
  readonly ignoresAbove?: number;
  /** The operand minus one number for each row, which is at least the row's largest: low values stay as far below as they were. */
  readonly shiftsRows?: true;
  /** Beyond these values the result does not change any more. */
  readonly flat?: { readonly below?: number; readonly above?: number };
  /** It is an activation function that others may carry instead (`fusedActivationFunction`). */
  readonly activation?: "RELU" | "RELU6" | "RELU_N1_TO_1";
  /** Values below 0 are multiplied by this operand: x where x ≥ 0, else x · slope. */
  readonly slope?: number;
  /** x times a gate between 0 and 1 that is linear around 0: x · min(max(x + 3, 0), 6) / 6. */
  readonly gated?: true;
  /** The mean of a window of the two spatial dimensions. */
  readonly averages?: "window";
  /** The operand that may be absent where this option says the same: INT32, one value per dimension of the result. */
  readonly shapeOperand?: { readonly operand: number; readonly option: string };
  /** Runtimes compute a fused RELU within it; `fuses` alone says only that the option exists (CONCATENATION refuses one). */
  readonly takesRelu?: true;
  /** Gets a zero bias where it has none: the rule to quantize it, or the reference, wants three operands. */
  readonly zeroBias?: true;
  /** Our own rule where ONE has none, or a worse one: members that replace those above. The drop-in front does without. */
  readonly ours?: Partial<Omit<OperatorRow, "ours">>;
  /** What the kernels of a family of schemes demand beside that; ONE's schemes demand nothing more. */
  readonly families?: Readonly<Partial<Record<Family, FamilyRule>>>;
  /** Operator versions that brought a bias and a fused activation, where those are later than version 1. */
  readonly since?: { readonly bias: number; readonly activation: number };
}
