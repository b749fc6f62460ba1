/**
 * The range with the smallest mean squared quantization error (docs/calibration.md). Source: Nagel, Fournarakis, Amjad, Bondarenko, van
 * Baalen, Blankevoort, "A White Paper on Neural Network Quantization", 2021 (arXiv:2106.08295), section 3.1: a search for
 * argmin over (qmin, qmax) of ‖X − X̂(qmin, qmax)‖². Values are spread evenly in a bin, as in PyTorch's HistogramObserver, and the
 * error is integrated exactly.
 */
import { parametersOfRange, type Quantizer } from "../rules/schemes.ts";
import { type Distribution, finitePart, type Range } from "./distribution.ts";

/** The range for a quantizer of activations. Undefined when no value is finite. */
export function mseRange(whole: Distribution, quantizer: Quantizer): Range | undefined {
  const finite = finitePart(whole);
  if (finite === undefined) return undefined;
  const distribution = joined(finite);
  const { min, max } = distribution;
  const errorOf = (range: Range) => squaredError(distribution, range, quantizer);
  const limit = Math.max(-min, max);
  /** The range with its ends moved towards zero; an end is never moved past the other. */
  const both = (factor: number): Range => {
    const threshold = Math.fround(limit * factor);
    const low = Math.max(min, -threshold);
    const high = Math.min(max, threshold);
    return low <= high ? { min: low, max: high } : { min: Math.min(low, max), max: Math.max(high, min) };
  };
  let range = search(errorOf, both);
  if (quantizer.symmetric || min >= 0 || max <= 0) return range;
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const start = range;
    const fixedLow = range.min;
    range = search(errorOf, (factor) => ({ min: fixedLow, max: Math.fround(max * factor) }));
    const fixedHigh = range.max;
    range = search(errorOf, (factor) => ({ min: Math.fround(min * factor), max: fixedHigh }));
    if (range.min === start.min && range.max === start.max) break;
  }
  return range;
}

/**
 * The same with fewer pieces: neighbours that touch are joined while together they are at most 2^-13 of the largest magnitude wide (a 32nd
 * of a uint8 step of the whole range) and at most 2^-6 of their own. Small values have far more bins than the error can tell apart.
 */
export function joined({ lows, highs, counts, min, max }: Distribution): Distribution {
  const widest = Math.max(-min, max) * 2 ** -13;
  const pieces = { lows: new Float64Array(lows), highs: new Float64Array(highs), counts: new Float64Array(counts) };
  let last = -1;
  for (let i = 0; i < counts.length; i++) {
    const [low, high] = [lows[i]!, highs[i]!];
    const width = high - (last < 0 ? 0 : pieces.lows[last]!);
    const touches = last >= 0 && low < high && pieces.highs[last] === low && pieces.lows[last]! < low;
    if (touches && width <= Math.min(widest, Math.min(Math.abs(pieces.lows[last]!), Math.abs(high)) * 2 ** -6)) {
      pieces.highs[last] = high;
      pieces.counts[last]! += counts[i]!;
      continue;
    }
    last++;
    pieces.lows[last] = low;
    pieces.highs[last] = high;
    pieces.counts[last] = counts[i]!;
  }
  const kept = <T extends { slice(from: number, to: number): T }>(list: T) => list.slice(0, last + 1);
  return { lows: kept(pieces.lows), highs: kept(pieces.highs), counts: kept(pieces.counts), min, max };
}

/** The ends are searched in turn; two or three rounds are what it takes. */
const MOST_ROUNDS = 8;
/** Octaves below the extreme that are looked at: 2^-32 of it is far below a step of either dtype. */
const OCTAVES = 32;
const COARSE = 4;
const FINE = 64;
/** Error grows on both sides of the best; this much more than the best, and the search has passed it. */
const WORSE = 4;

/** The best factor in (0, 1]: by quarters of an octave, then by 64ths around the best of those. Of equal ones the largest. */
function search(errorOf: (range: Range) => number, rangeOf: (factor: number) => Range): Range {
  let best = { exponent: 0, error: Number.POSITIVE_INFINITY, range: rangeOf(1) };
  const look = (exponent: number): number => {
    const range = rangeOf(2 ** -exponent);
    const error = errorOf(range);
    if (error < best.error) best = { exponent, error, range };
    return error;
  };
  for (let i = 0; i <= OCTAVES * COARSE; i++) if (look(i / COARSE) > WORSE * best.error) break;
  const around = best.exponent;
  const reach = FINE / COARSE;
  for (let k = -reach + 1; k < reach; k++) if (k !== 0 && around + k / FINE > 0) look(around + k / FINE);
  return best.range;
}

/** Sum of (x − q(x))² over all values, where q(x) is the number that stands for x after quantization with the range's parameters. */
export function squaredError({ lows, highs, counts }: Distribution, range: Range, quantizer: Quantizer): number {
  const { scale, zeroPoint } = parametersOfRange(quantizer, range.min, range.max);
  const [bottom, top] = [quantizer.low - zeroPoint, quantizer.high - zeroPoint];
  /**
   * ∫ (t − q(t))² dt from 0 to x. A whole step gives scale³/12, and a part of one that ends r from a level r³/3; so does what lies
   * past the outermost level.
   */
  const integral = (x: number): number => {
    const level = Math.max(bottom, Math.min(top, Math.round(x / scale)));
    const rest = x - level * scale;
    return (level * scale * scale * scale) / 12 + (rest * rest * rest) / 3;
  };
  let sum = 0;
  let reached = Number.NaN;
  let before = 0;
  for (let i = 0; i < counts.length; i++) {
    const low = lows[i]!;
    const high = highs[i]!;
    if (low === high) {
      const rest = low - Math.max(bottom, Math.min(top, Math.round(low / scale))) * scale;
      sum += counts[i]! * rest * rest;
      continue;
    }
    const from = low === reached ? before : integral(low);
    before = integral(high);
    reached = high;
    sum += (counts[i]! * (before - from)) / (high - low);
  }
  return sum;
}
