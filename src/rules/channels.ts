/**
 * WHAT OPERATORS DO TO CHANNELS: how a factor s > 0 on a channel of what an operator reads shows in what it gives, as data. Equalization
 * (src/accuracy/equalize) reads it. A kind without a row is one in which no such factor may be.
 *
 *     weighs   y = W·x + b: takes factors of its input back in its weights, and may give its result others
 *     scales   f(s·x) = s·f(x), channel by channel; constants beside x stay as they are (a slope, a factor)
 *     joins    f(s·x, s·z) = s·f(x, z): all that it reads have the same factors; constants get them, too
 *     the rest moves channels about: what it gives has the factors of where it comes from
 */
import type { BuiltinOperator } from "../model/schema.gen.ts";

export type ChannelRule =
  /** Axes of its weights: its result's channels, and those that it reads; `own`: each result channel reads one input channel. */
  | { readonly does: "weighs"; readonly outputs: number; readonly inputs: number | "own"; readonly flattens?: true }
  /**
   * `limits`: as long as no value passes them. `first`: only factors of operand 0 go through. `gates`: it may read a second tensor with fewer
   * elements, which has no factors. `windows`: looks at neighbours of the two axes before the last; else at each element alone.
   */
  | {
      readonly does: "scales";
      readonly limits?: Limits;
      readonly first?: true;
      readonly gates?: true;
      readonly windows?: true;
    }
  | { readonly does: "joins" }
  /** Takes away axes, which operand 1 names. */
  | { readonly does: "reduces" }
  /** Zeros around; operand 1 says how many. */
  | { readonly does: "pads" }
  | { readonly does: "concatenates" }
  /** Several results behind each other along an axis. Operands: what is split, the axis, and sizes where they are not all equal. */
  | { readonly does: "splits"; readonly operand: number; readonly axis: number; readonly sizes?: number }
  /** A part from operand 1 on. `steps`: operand 3 has strides, and masks are options. */
  | { readonly does: "cuts"; readonly steps?: true }
  /** Axes in the order that operand 1 says. */
  | { readonly does: "permutes" }
  /** Gives the elements in their order, in another shape. */
  | { readonly does: "reshapes" };

/** Least and largest value that a function gives; within them it is linear, or has its bend at 0. */
export interface Limits {
  readonly low?: number;
  readonly high?: number;
}

/** Fused activation functions that let factors through, within these limits. Others do not. */
export const ACTIVATION_LIMITS: Readonly<Record<string, Limits>> = {
  NONE: {},
  RELU: {},
  RELU6: { high: 6 },
  RELU_N1_TO_1: { low: -1, high: 1 },
};

const scales: ChannelRule = { does: "scales" };
const windows: ChannelRule = { does: "scales", windows: true };
const joins: ChannelRule = { does: "joins" };
const reduces: ChannelRule = { does: "reduces" };
const reshapes: ChannelRule = { does: "reshapes" };

export const CHANNEL_RULES: Readonly<Partial<Record<keyof typeof BuiltinOperator, ChannelRule>>> = {
  ABS: scales,
  ADD: joins,
  AVERAGE_POOL_2D: windows,
  CONCATENATION: { does: "concatenates" },
  CONV_2D: { does: "weighs", outputs: 0, inputs: 3 },
  DEPTHWISE_CONV_2D: { does: "weighs", outputs: 3, inputs: "own" },
  DIV: { does: "scales", first: true },
  EXPAND_DIMS: reshapes,
  FULLY_CONNECTED: { does: "weighs", outputs: 0, inputs: 1, flattens: true },
  LEAKY_RELU: scales,
  MAXIMUM: joins,
  MAX_POOL_2D: windows,
  MEAN: reduces,
  MINIMUM: joins,
  MUL: { does: "scales", gates: true },
  NEG: scales,
  PAD: { does: "pads" },
  PRELU: { does: "scales", first: true },
  REDUCE_MAX: reduces,
  REDUCE_MIN: reduces,
  RELU: scales,
  RELU6: { does: "scales", limits: ACTIVATION_LIMITS.RELU6 },
  RELU_N1_TO_1: { does: "scales", limits: ACTIVATION_LIMITS.RELU_N1_TO_1 },
  RESHAPE: reshapes,
  RESIZE_BILINEAR: windows,
  RESIZE_NEAREST_NEIGHBOR: windows,
  SLICE: { does: "cuts" },
  SPLIT: { does: "splits", operand: 1, axis: 0 },
  SPLIT_V: { does: "splits", operand: 0, axis: 2, sizes: 1 },
  SQUEEZE: reshapes,
  STRIDED_SLICE: { does: "cuts", steps: true },
  SUB: joins,
  SUM: reduces,
  TRANSPOSE: { does: "permutes" },
  TRANSPOSE_CONV: { does: "weighs", outputs: 0, inputs: 3 },
};

/** The row of a kind; undefined where no factor goes through. */
export function channelRule(op: string): ChannelRule | undefined {
  return CHANNEL_RULES[op as keyof typeof BuiltinOperator];
}
