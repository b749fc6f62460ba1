/**
 * What `compare` says of two tensors. a = float model's value, b = quantized model's, E = elements, N = records:
 *
 *     MAE      Σ|a − b| / EN
 *     MSE      Σ(a − b)² / EN
 *     MAPE     100 · mean of |a − b| / |a| over all elements with a ≠ 0, in percent
 *     MPEIR    mean over records of  max|a − b| / (max a − min a);  an interval of 0 counts as 1
 *     top-k    mean over records of  |top k of a ∩ top k of b| / k;  among equals the lower index
 *     SQNR     10 · log₁₀( Σa² / Σ(a − b)² ), in dB, over all records together; infinite for equal tensors
 *     cosine   Σab / √(Σa² · Σb²), over all records together; 1 when both are zero, 0 when one is
 *
 * and, for visq's file (§8.5):
 *
 *     peir     as MPEIR, with the interval + 1e-6
 *     TAE      Σ|a − b| / N
 *     SRMSE    √MSE / scale of b
 *
 * MAE, MSE, MPEIR and top-k are §8.1's. Its MAPE divides by every a, so that one 0 makes it infinite (or NaN where b is 0, too); here such
 * elements are left out and counted. Sums are float64: those of a record first, then over records in their order, so results do not
 * depend on who ran which record. (The drop-in circle-eval-diff sums as §8.1 says: eval-diff.ts.)
 */
import { topMatch } from "./top.ts";

/** What one record says of a pair of tensors, in the order of a packed record. */
const FIELDS = [
  "elements",
  "absolute",
  "squared",
  "relative",
  /** Elements with a = 0, that `relative` leaves out. */
  "zeros",
  "peir",
  "visqPeir",
  "top1",
  "top5",
  "aa",
  "bb",
  "ab",
  /** Elements where a or b is NaN or infinite. */
  "notFinite",
] as const;

export type Sums = Record<(typeof FIELDS)[number], number>;

/** Numbers a pair takes in a packed record. */
export const PACKED = FIELDS.length;

export interface Metrics {
  readonly mae: number;
  readonly mse: number;
  /** Percent; null when every a is 0. */
  readonly mape: number | null;
  readonly mpeir: number;
  /** Shares from 0 to 1; null for tensors with fewer elements. */
  readonly top1: number | null;
  readonly top5: number | null;
  /** dB; Infinity for equal tensors. */
  readonly sqnr: number;
  readonly cosine: number;
  /** Elements that MAPE leaves out, over all records. */
  readonly zeros: number;
  /** Elements where a or b is NaN or infinite, over all records. */
  readonly notFinite: number;
}

/** visq's metrics (§8.5). */
export interface VisqMetrics {
  readonly mpeir: number;
  readonly mse: number;
  readonly tae: number;
  /** null without a scale. */
  readonly srmse: number | null;
  /** The least and the largest of single records. */
  readonly records: { readonly mse: Range; readonly tae: Range };
}

type Range = readonly [least: number, most: number];

/** Compares two tensors of one record. Where their sizes follow from values and differ, what one of them lacks counts as 0. */
export function sumsOf(a: ArrayLike<number>, b: ArrayLike<number>): Sums {
  if (a.length !== b.length) {
    const length = Math.max(a.length, b.length);
    return sumsOf(filled(a, length), filled(b, length));
  }
  let [absolute, squared, relative, zeros, aa, bb, ab, peak, notFinite] = [0, 0, 0, 0, 0, 0, 0, 0, 0];
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < a.length; i++) {
    const x = a[i]!;
    const y = b[i]!;
    // x − x is NaN for NaN and infinities, and nothing else.
    if (x - x !== 0 || y - y !== 0) notFinite++;
    const error = Math.abs(x - y);
    absolute += error;
    squared += error * error;
    if (x === 0) zeros++;
    else relative += error / Math.abs(x);
    aa += x * x;
    bb += y * y;
    ab += x * y;
    if (error > peak) peak = error;
    if (x < min) min = x;
    if (x > max) max = x;
  }
  const interval = max > min ? max - min : 0;
  return {
    elements: a.length,
    absolute,
    squared,
    relative,
    zeros,
    peir: Number.isNaN(absolute) ? Number.NaN : peak / (interval || 1),
    visqPeir: Number.isNaN(absolute) ? Number.NaN : peak / (interval + 1e-6),
    top1: a.length >= 1 ? topMatch(a, b, 1) : 0,
    top5: a.length >= 5 ? topMatch(a, b, 5) : 0,
    aa,
    bb,
    ab,
    notFinite,
  };
}

function filled(values: ArrayLike<number>, length: number): Float64Array {
  const all = new Float64Array(length);
  all.set(values);
  return all;
}

/** Puts a pair's sums in their place of a record. */
export function pack(record: Float64Array, pair: number, sums: Sums): void {
  FIELDS.forEach((field, i) => {
    record[pair * PACKED + i] = sums[field];
  });
}

/** Sums over records; `add` is called in record order. */
export class Totals {
  private readonly totals: Float64Array;
  private records = 0;
  /** What visq's ranges of colours are made of: for each pair least and most MSE, least and most sum of absolute errors, of a record. */
  private readonly ends: Float64Array;

  constructor(readonly pairs: number) {
    this.totals = new Float64Array(pairs * PACKED);
    this.ends = new Float64Array(pairs * 4).map((_, i) => (i % 2 === 0 ? Number.POSITIVE_INFINITY : 0));
  }

  add(record: Float64Array): void {
    for (let i = 0; i < record.length; i++) this.totals[i]! += record[i]!;
    for (let pair = 0; pair < this.pairs; pair++) {
      const [elements, absolute, squared] = record.subarray(pair * PACKED);
      this.widen(pair * 4, squared! / elements!);
      this.widen(pair * 4 + 2, absolute!);
    }
    this.records++;
  }

  private widen(at: number, value: number): void {
    this.ends[at] = Math.min(this.ends[at]!, value);
    this.ends[at + 1] = Math.max(this.ends[at + 1]!, value);
  }

  metrics(pair: number): Metrics {
    const { elements, absolute, squared, relative, zeros, peir, top1, top5, aa, bb, ab, notFinite } = this.of(pair);
    const each = elements / this.records;
    return {
      mae: absolute / elements,
      mse: squared / elements,
      mape: zeros === elements ? null : (100 * relative) / (elements - zeros),
      mpeir: peir / this.records,
      top1: each >= 1 ? top1 / this.records : null,
      top5: each >= 5 ? top5 / this.records : null,
      sqnr: squared === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(aa / squared),
      cosine: cosine(aa, bb, ab),
      zeros,
      notFinite,
    };
  }

  /** `scale` is that of the quantized tensor. */
  visq(pair: number, scale: number | null): VisqMetrics {
    const { elements, absolute, squared, visqPeir } = this.of(pair);
    const mse = squared / elements;
    const [leastMse, mostMse, leastTae, mostTae] = this.ends.subarray(pair * 4);
    return {
      mpeir: visqPeir / this.records,
      mse,
      tae: absolute / this.records,
      srmse: scale === null ? null : Math.sqrt(mse) / scale,
      records: { mse: [leastMse!, mostMse!], tae: [leastTae!, mostTae!] },
    };
  }

  private of(pair: number): Sums {
    return Object.fromEntries(FIELDS.map((field, i) => [field, this.totals[pair * PACKED + i]!])) as Sums;
  }
}

function cosine(aa: number, bb: number, ab: number): number {
  if (aa === 0 && bb === 0) return 1;
  if (aa === 0 || bb === 0) return 0;
  // Rounding must not make equal directions more than equal.
  return Math.min(1, Math.max(-1, ab / Math.sqrt(aa * bb)));
}
