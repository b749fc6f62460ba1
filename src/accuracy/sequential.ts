/**
 * Sequential bias correction: in the order of execution, each bias takes back what the quantized model computes otherwise than the float model
 * on average, with all corrections before it in place: rounding and clipping of inputs included. Several layers at once would destroy a model.
 *
 *     e = (Ŵ·x̄̂ + b̂) − (W·x̄ + b)     b' = b̂ − e     kept where that lowers Σ e² on samples that are held out
 */

import { shrunkMean } from "./bias.ts";
import { columnsOf, type LinearLayer } from "./layers.ts";

/** A layer's weights and bias as floats. */
export interface LayerValues {
  readonly weights: Float32Array;
  readonly bias: Float32Array;
}

/**
 * The mean results of a layer before its activation function, by record, for the mean of what it reads in each. Weights are read once for all
 * records: they are many.
 */
export function meanResults(
  layer: LinearLayer,
  { weights, bias }: LayerValues,
  means: readonly Float64Array[],
): Float64Array[] {
  const { outputs, length, groups, kind } = layer;
  const results = means.map(() => Float64Array.from(bias));
  const records = means.length;
  const each = outputs / groups;
  const sums = new Float64Array(records);
  // As `weightAt` has it.
  const [ofRow, ofValue] = kind.weights === "rows" ? [length, 1] : [1, outputs];
  for (let group = 0; group < groups; group++) {
    const read = byValue(means, columnsOf(layer, group));
    for (let output = group * each; output < (group + 1) * each; output++) {
      sums.fill(0);
      for (let k = 0; k < length; k++) {
        const weight = weights[output * ofRow + k * ofValue]!;
        const from = k * records;
        for (let r = 0; r < records; r++) sums[r]! += weight * read[from + r]!;
      }
      for (let r = 0; r < records; r++) results[r]![output]! += sums[r]!;
    }
  }
  return results;
}

/** Some values of all records, value by value: [columns, records]. */
function byValue(means: readonly Float64Array[], columns: Int32Array): Float64Array {
  const values = new Float64Array(columns.length * means.length);
  for (const [r, mean] of means.entries())
    for (let k = 0; k < columns.length; k++) values[k * means.length + r] = mean[columns[k]!]!;
  return values;
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
