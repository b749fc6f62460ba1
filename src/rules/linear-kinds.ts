/**
 * OPERATORS WHOSE RESULTS ARE LINEAR IN CONSTANT WEIGHTS, and how: what a bias can correct, and what least squares can round. A kind without a
 * row is left alone. Which operand is what says the operator table; the names of the options are those of the schema.
 */
import type { BuiltinOperator } from "../model/schema.gen.ts";

export interface LinearKind {
  /**
   * `rows`: [O, …, I], a result channel reads all taps of the input channels of its group. `taps`: [1, …, C · multiplier], a result
   * channel reads the taps of one input channel.
   */
  readonly weights: "rows" | "taps";
  /**
   * What a tap is. `gather`: a place in the window around each position (stride, dilation, padding). `scatter`: the same seen from the input:
   * each of its positions is spread over the result. `none`: rows of a matrix.
   */
  readonly window: "gather" | "scatter" | "none";
}

export const LINEAR_KINDS: Readonly<Partial<Record<keyof typeof BuiltinOperator, LinearKind>>> = {
  CONV_2D: { weights: "rows", window: "gather" },
  DEPTHWISE_CONV_2D: { weights: "taps", window: "gather" },
  FULLY_CONNECTED: { weights: "rows", window: "none" },
  TRANSPOSE_CONV: { weights: "rows", window: "scatter" },
};

/** The row of a kind; undefined for kinds that are not linear in constant weights. */
export function linearKind(op: string): LinearKind | undefined {
  return LINEAR_KINDS[op as keyof typeof BuiltinOperator];
}
