/**
 * From one (min, max) a record to one for the tensor. Reference §7.4, with its float widths: `f32(x)` marks every place where
 * the reference holds a float32; everything else is float64.
 */
import { UsageError } from "../base/errors.ts";
import type { Quantizer } from "../rules/schemes.ts";
import { type Distribution, distributionOf, type Range } from "./distribution.ts";
import { entropyRange } from "./entropy.ts";
import type { Histogram } from "./histogram.ts";
import { mseRange } from "./mse.ts";
import { percentileOfAll } from "./percentile-all.ts";

/** How a tensor's range follows from the samples. */
export type Reduction = RecordReduction | ValueReduction;

/** From the records' minima and maxima; `min`/`max` of "percentile" are percentiles in [0, 100]. */
export type RecordReduction =
  | { readonly kind: "percentile"; readonly min: number; readonly max: number }
  /** `batch`: records a batch; `constant`: the weight of a new batch (`--moving_avg_const`, 0.1), in [0, 1]. */
  | { readonly kind: "moving_average"; readonly batch: number; readonly constant: number }
  | { readonly kind: "minmax" };

/** From all values of all records, by their histogram; `dtype` is what the tensors will be quantized to. */
export type ValueReduction =
  | { readonly kind: "percentile_all"; readonly min: number; readonly max: number }
  | { readonly kind: "entropy"; readonly quantizer: Quantizer }
  | { readonly kind: "mse"; readonly quantizer: Quantizer };

export function looksAtValues(reduction: Reduction): reduction is ValueReduction {
  return reduction.kind === "percentile_all" || reduction.kind === "entropy" || reduction.kind === "mse";
}

export type { Range };

const f32 = Math.fround;

/**
 * Refuses settings that have no meaning. The reference takes min percentile > max percentile and writes min > max, which a later
 * step asserts against; with min ≤ max percentile and a constant in [0, 1] every formula here keeps min ≤ max.
 */
export function checkReduction(reduction: Reduction): void {
  if (reduction.kind === "entropy" && reduction.quantizer.bits !== 8) {
    throw new UsageError(
      "mode entropy is defined for 8 bits: 2048 bins say nothing of the 65535 levels of int16; choose mse or percentile_all for int16",
    );
  }
  if (reduction.kind === "percentile" || reduction.kind === "percentile_all") {
    for (const [name, p] of [
      ["min", reduction.min],
      ["max", reduction.max],
    ] as const) {
      if (!(p >= 0 && p <= 100)) throw new UsageError(`the ${name} percentile is ${p}; it must be from 0 to 100`);
    }
    if (reduction.min > reduction.max) {
      throw new UsageError(
        `the min percentile ${reduction.min} is above the max percentile ${reduction.max}; ranges would be upside down`,
      );
    }
  }
  if (reduction.kind === "moving_average") {
    const { batch, constant } = reduction;
    if (!Number.isInteger(batch) || batch < 1)
      throw new UsageError(`the moving average's batch is ${batch}; it must be a whole number from 1`);
    if (!(constant >= 0 && constant <= 1))
      throw new UsageError(`the moving average's constant is ${constant}; it must be from 0 to 1`);
  }
}

/** Reduces one tensor's minima and maxima, one per record in record order; at least one, no NaN. */
export function reduce(mins: Float32Array, maxs: Float32Array, reduction: RecordReduction): Range {
  switch (reduction.kind) {
    case "percentile":
      return { min: percentile(mins, reduction.min), max: percentile(maxs, reduction.max) };
    case "moving_average":
      return {
        min: movingAverage(mins, "min", reduction.batch, reduction.constant),
        max: movingAverage(maxs, "max", reduction.batch, reduction.constant),
      };
    case "minmax":
      return { min: extreme(mins, "min"), max: extreme(maxs, "max") };
  }
}

/**
 * Reduces the values of one tensor; `mins` and `maxs` as for reduce, for the exact extremes. Undefined when the mode needs finite
 * values and there is none.
 */
export function reduceValues(
  histogram: Histogram,
  mins: Float32Array,
  maxs: Float32Array,
  reduction: ValueReduction,
): Range | undefined {
  return reduceDistribution(distributionOf(histogram, extreme(mins, "min"), extreme(maxs, "max")), reduction);
}

function reduceDistribution(distribution: Distribution, reduction: ValueReduction): Range | undefined {
  switch (reduction.kind) {
    case "percentile_all":
      return {
        min: percentileOfAll(distribution, reduction.min),
        max: percentileOfAll(distribution, reduction.max),
      };
    case "entropy":
      return entropyRange(distribution);
    case "mse":
      return mseRange(distribution, reduction.quantizer);
  }
}

/** The p-th percentile (p a float32 in [0, 100]) with linear interpolation. */
export function percentile(values: Float32Array, p: number): number {
  p = f32(p);
  if (!(p >= 0 && p <= 100)) throw new RangeError(`percentile ${p} is outside [0, 100]`);
  if (values.length === 0) throw new RangeError("percentile of nothing");
  if (values.length === 1) return values[0]!;
  const sorted = values.slice().sort();
  const last = sorted.length - 1;
  if (p === 0) return sorted[0]!;
  if (p === 100) return sorted[last]!;
  const index = Math.floor(f32(f32(last) * p) / 100);
  // f32((n-1)·p) can round up to (n-1)·100 when p is just below 100; the reference then reads past the end.
  if (index >= last) return sorted[last]!;
  const below = sorted[index]!;
  const above = sorted[index + 1]!;
  // Equal neighbours need no interpolation; infinite ones would give inf − inf = NaN.
  if (below === above) return below;
  const percentIndex = f32(f32(index) / f32(last));
  const fraction = f32((p / 100 - percentIndex) / ((index + 1) / last - percentIndex));
  return f32(below + f32(fraction * f32(above - below)));
}

/**
 * Batches of `batch` consecutive records are reduced to their extreme, then averaged exponentially in order. The last batch may be
 * shorter. (The reference keeps `batch` in 8 bits: 256 never ends, 300 means 44. Ours takes the number as it is; up to 255 both agree.)
 */
export function movingAverage(values: Float32Array, kind: "min" | "max", batch: number, constant: number): number {
  if (values.length === 0) throw new RangeError("moving average of nothing");
  const alpha = f32(1 - f32(constant));
  let average = extreme(values.subarray(0, batch), kind);
  for (let first = batch; first < values.length; first += batch) {
    const next = extreme(values.subarray(first, first + batch), kind);
    average = f32(f32(average * alpha) + next * (1 - alpha));
  }
  return average;
}

function extreme(values: Float32Array, kind: "min" | "max"): number {
  let result = values[0]!;
  for (const value of values) if (kind === "min" ? value < result : value > result) result = value;
  return result;
}
