/**
 * What a histogram says of a tensor's values, as the modes that look at all values use it (percentile-all.ts, entropy.ts, mse.ts):
 * pieces of the number line with so many values each, taken to be spread evenly within.
 */
import { FLT_MAX } from "../rules/arithmetic.ts";
import type { Histogram } from "./histogram.ts";

/**
 * Pieces in ascending order that do not overlap. A piece with low = high stands for values that all are that number: zeros, ±inf, and
 * what a bin is when minimum and maximum leave nothing else.
 */
export interface Distribution {
  readonly lows: Float64Array;
  readonly highs: Float64Array;
  readonly counts: Float64Array;
  /** Exact extremes of the values. */
  readonly min: number;
  readonly max: number;
}

/** A range that was chosen from values. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** Bins of negative floats have the sign bit; their magnitude is what is left. */
const SIGN = 1 << 18;
const INFINITE = 0x7f800000 >>> 13;

/**
 * The distribution of a histogram whose values' exact minimum and maximum (float32, §7.3) are known: no piece reaches past those.
 * Bin 0 of either sign (zeros and magnitudes below 2^-136) is the number 0.
 */
export function distributionOf(histogram: Histogram, min: number, max: number): Distribution {
  const { bins, counts } = histogram;
  const size = bins.length;
  const [lows, highs, ordered] = [new Float64Array(size), new Float64Array(size), new Float64Array(size)];
  const firstNegative = bins.findIndex((bin) => bin >= SIGN);
  const positives = firstNegative < 0 ? size : firstNegative;
  for (let i = 0; i < size; i++) {
    // Negative bins ascend in magnitude, so they come first and reversed.
    const place = i < size - positives ? size - 1 - i : i - (size - positives);
    const bin = bins[place]!;
    const magnitude = bin & (SIGN - 1);
    const near = magnitude === 0 ? 0 : edge(magnitude);
    const far = magnitude === 0 || magnitude === INFINITE ? near : outer(magnitude);
    lows[i] = Math.min(Math.max(bin >= SIGN ? 0 - far : near, min), max);
    highs[i] = Math.max(Math.min(bin >= SIGN ? 0 - near : far, max), min);
    ordered[i] = counts[place]!;
  }
  return { lows, highs, counts: ordered, min, max };
}

/** The part without ±inf: for modes to which an infinite value is an outlier like any other. Undefined when nothing else is there. */
export function finitePart(whole: Distribution): Distribution | undefined {
  const { lows, highs, counts, min, max } = whole;
  if (Number.isFinite(min) && Number.isFinite(max)) return whole;
  const kept = Array.from(counts.keys()).filter((i) => Number.isFinite(lows[i]!));
  if (kept.length === 0) return undefined;
  const [finiteLows, finiteHighs] = [kept.map((i) => lows[i]!), kept.map((i) => highs[i]!)];
  return {
    lows: Float64Array.from(finiteLows),
    highs: Float64Array.from(finiteHighs),
    counts: Float64Array.from(kept, (i) => counts[i]!),
    // The records' extremes were the infinite ones; a bin's edge is as much as is known.
    min: Number.isFinite(min) ? min : finiteLows[0]!,
    max: Number.isFinite(max) ? max : finiteHighs.at(-1)!,
  };
}

const word = new DataView(new ArrayBuffer(4));

/** The smallest magnitude of a bin. */
function edge(bin: number): number {
  word.setUint32(0, bin << 13);
  return word.getFloat32(0);
}

/** Where the next bin begins; the last one ends with the largest float. */
function outer(bin: number): number {
  return Math.min(edge(bin + 1), FLT_MAX);
}
