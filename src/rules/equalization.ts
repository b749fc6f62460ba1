/**
 * Operators between which channels can be scaled without changing what a model computes (§8.3, fm-equalize): a front makes channel i of its
 * result 1/s as large, a back takes it s times as large, and what is between passes a factor above 0 on.
 */
interface EqualizationFacts {
  /** Operands that hold the channels of its result, each along a dimension (below 0 from the end); absent ones may be missing. */
  readonly front?: readonly { readonly operand: number; readonly axis: number }[];
  /** The operand whose last dimension is the channels of `input`. */
  readonly back?: { readonly weights: number; readonly input: number };
  /** f(s · x) is s · f(x) channel by channel, for s above 0. */
  readonly between?: true;
}

const filter = (weights: number, axis: number, bias: number, input = 0): EqualizationFacts => ({
  front: [
    { operand: weights, axis },
    { operand: bias, axis: 0 },
  ],
  back: { weights, input },
});

export const EQUALIZATION: Readonly<Record<string, EqualizationFacts>> = {
  CONV_2D: filter(1, 0, 2),
  DEPTHWISE_CONV_2D: filter(1, 3, 2),
  FULLY_CONNECTED: filter(1, 0, 2),
  TRANSPOSE_CONV: filter(1, 0, 3, 2),
  INSTANCE_NORM: {
    front: [
      { operand: 1, axis: -1 },
      { operand: 2, axis: -1 },
    ],
  },
  PAD: { between: true },
  MAX_POOL_2D: { between: true },
  RELU: { between: true },
  LEAKY_RELU: { between: true },
};

/** Fused activations that pass a factor above 0 on. */
export const EQUALIZABLE_ACTIVATIONS: readonly string[] = ["NONE", "RELU"];
