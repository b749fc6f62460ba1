/**
 * Sequential bias correction: in the order of execution, each bias takes back what the quantized model computes otherwise than the float model
 * on average, with all corrections before it in place: rounding and clipping of inputs included. Several layers at once would destroy a model.
 *
 *     e = (Ŵ·x̄̂ + b̂) − (W·x̄ + b)     b' = b̂ − e     kept where that lowers Σ e² on samples that are held out
 */

import { shrunkMean } from "./bias.ts";
import type { LinearLayer } from "./layers.ts";
import { addProducts } from "./products.ts";

/** A layer's weights and bias as floats. */
export interface LayerValues {
  readonly weights: Float32Array;
  readonly bias: Float32Array;
}

/** The mean results of a layer before its activation function, by record, for the mean of what it reads in each. */
export function meanResults(
  layer: LinearLayer,
  { weights, bias }: LayerValues,
  means: readonly Float64Array[],
): Float64Array[] {
  const sums = means.map(() => new Float64Array(layer.outputs));
  addProducts(layer, new Float64Array(weights), 0, means, sums);
  return sums.map((sum) => sum.map((value, output) => bias[output]! + value));
}

/** By how much a bias has to change, from errors of records that fit and of those that are held out; null where it should stay. */
export function correctionOf(fit: readonly Float64Array[], held: readonly Float64Array[]): Float64Array | null {
  if (fit.length === 0 || held.length === 0) return null;
  const correction = shrunkMean(fit);
  const mean = correction.map((_, i) => held.reduce((sum, each) => sum + each[i]!, 0) / held.length);
  let change = 0;
  for (let i = 0; i < mean.length; i++) change += (mean[i]! - correction[i]!) ** 2 - mean[i]! ** 2;
  return change < 0 ? correction : null;
}
