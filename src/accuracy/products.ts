/** Weights of a layer times means of what it reads, for several means at once: weights are many, and looked at once. */
import { columnsOf, type LinearLayer } from "./layers.ts";

/**
 * Adds to each output of `sums`, one list a mean, Σ weight · mean: float64, in the order of the weights. `weights`: some of the layer's, as they lie,
 * from element `first` on; a row may be cut.
 */
export function addProducts(
  layer: LinearLayer,
  weights: Float64Array,
  first: number,
  means: readonly Float64Array[],
  sums: readonly Float64Array[],
): void {
  if (layer.kind.weights === "taps") {
    for (const [m, sum] of sums.entries()) addTaps(layer, weights, first, means[m]!, sum);
    return;
  }
  const { outputs, length, groups } = layer;
  const four = new Float64Array(4);
  let own = { group: -1, means };
  for (let at = 0; at < weights.length; ) {
    const output = Math.floor((first + at) / length);
    const from = (first + at) % length;
    const count = Math.min(length - from, weights.length - at);
    const group = Math.floor(output / (outputs / groups));
    if (groups > 1 && group !== own.group) own = { group, means: readBy(layer, group, means) };
    for (let m = 0; m < means.length; m += 4) {
      // Four sums side by side, because one has to wait for itself.
      const [a, b = a!, c = a!, d = a!] = own.means.slice(m, m + 4);
      fourDots(weights, at, [a!, b, c, d], from, count, four);
      for (let i = 0; i < Math.min(4, means.length - m); i++) sums[m + i]![output]! += four[i]!;
    }
    at += count;
  }
}

/** What the rows of a group read of the means, value by value, so that sums are plain loops. */
function readBy(layer: LinearLayer, group: number, means: readonly Float64Array[]): Float64Array[] {
  const columns = columnsOf(layer, group);
  return means.map((mean) => Float64Array.from(columns, (column) => mean[column]!));
}

/** Σ weights[from + k] · mean[first + k], k from 0 up, for four means. A function of its own, so that the engine compiles the loop soon. */
function fourDots(
  weights: Float64Array,
  from: number,
  [m0, m1, m2, m3]: readonly [Float64Array, Float64Array, Float64Array, Float64Array],
  first: number,
  count: number,
  to: Float64Array,
): void {
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let k = 0; k < count; k++) {
    const weight = weights[from + k]!;
    a += weight * m0[first + k]!;
    b += weight * m1[first + k]!;
    c += weight * m2[first + k]!;
    d += weight * m3[first + k]!;
  }
  to[0] = a;
  to[1] = b;
  to[2] = c;
  to[3] = d;
}

/** Where weights of all rows lie beside each other, tap after tap, and each row reads one channel: sums grow tap by tap. */
function addTaps(
  { outputs, groups, taps: { channels } }: LinearLayer,
  weights: Float64Array,
  first: number,
  mean: Float64Array,
  sum: Float64Array,
): void {
  const each = outputs / groups;
  let tap = Math.floor(first / outputs);
  let output = first % outputs;
  for (let at = 0; at < weights.length; at++) {
    sum[output]! += weights[at]! * mean[tap * channels + (each === 1 ? output : Math.floor(output / each))]!;
    if (++output < outputs) continue;
    output = 0;
    tap++;
  }
}
