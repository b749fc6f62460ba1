/**
 * The range that loses the least information: the threshold whose clipped and quantized distribution has the smallest Kullback–Leibler
 * divergence from the original (docs/calibration.md). Source: Szymon Migacz, "8-bit Inference with TensorRT", NVIDIA GTC 2017.
 */
import { type Distribution, finitePart, type Range } from "./distribution.ts";

/** Bins of the magnitudes from 0 to the largest one. */
const BINS = 2048;
/** Integers of 8 bits: the levels of a whole range. */
const LEVELS = 256;
/** The fewest levels magnitudes ever have: half of all, when the range has as much below zero as above. */
const FEWEST = LEVELS / 2;

/** The range for 8-bit quantization. Undefined when no value is finite. */
export function entropyRange(whole: Distribution): Range | undefined {
  const distribution = finitePart(whole);
  if (distribution === undefined) return undefined;
  const { min, max } = distribution;
  const largest = Math.max(-min, max);
  const masses = magnitudes(distribution, largest);
  const threshold = (bins: number): Range => {
    const limit = bins === BINS ? largest : Math.fround((largest * bins) / BINS);
    return { min: Math.max(min, -limit), max: Math.min(max, limit) };
  };
  const divergence = divergences(masses);
  let best = threshold(BINS);
  let least = Number.POSITIVE_INFINITY;
  // From the widest on, and only less is better: of equal ones the widest stays.
  for (let bins = BINS; bins >= FEWEST; bins--) {
    const range = threshold(bins);
    const levels = levelsOf(range, (largest * bins) / BINS);
    if (bins < levels) continue;
    const found = divergence(bins, levels);
    if (found < least) {
      least = found;
      best = range;
    }
  }
  return best;
}

/** How many of the range's levels magnitudes up to `limit` have: 128 when the range has two equal sides, 256 when it has one. */
function levelsOf({ min, max }: Range, limit: number): number {
  const width = Math.max(max, 0) - Math.min(min, 0);
  return width > 0 ? Math.min(LEVELS, Math.max(FEWEST, Math.floor((LEVELS * limit) / width))) : FEWEST;
}

/**
 * How many values have a magnitude in each of the bins; a piece that lies in several gives each its share. Zeros are left out: every
 * quantization has them exactly, and after a RELU they would outweigh everything else.
 */
export function magnitudes({ lows, highs, counts }: Distribution, largest: number): Float64Array {
  const masses = new Float64Array(BINS);
  for (let i = 0; i < counts.length; i++) {
    const [left, right] = [Math.abs(lows[i]!), Math.abs(highs[i]!)];
    const far = Math.max(left, right);
    if (far === 0) continue;
    const from = (Math.min(left, right) / largest) * BINS;
    const to = (far / largest) * BINS;
    const first = Math.min(BINS - 1, Math.floor(from));
    const last = Math.min(BINS - 1, Math.floor(to));
    if (first === last) {
      masses[first]! += counts[i]!;
      continue;
    }
    for (let bin = first; bin <= last; bin++) {
      masses[bin]! += (counts[i]! * (Math.min(bin + 1, to) - Math.max(bin, from))) / (to - from);
    }
  }
  return masses;
}

/**
 * KL(P ‖ Q) of the first `bins` bins at `levels` levels, where P are those bins with everything beyond in the last of them, and Q the same
 * bins without that, each level's mass shared equally by those of its bins that are not empty; both as parts of their sums. Level l
 * has the bins from ⌈l·bins/levels⌉ on. Infinite when P has mass where Q has none.
 *
 * Over a level Q is one number, so sums over levels do: Σ b log b, Σ b and the number of bins in use come from running totals.
 */
export function divergences(masses: Float64Array): (bins: number, levels: number) => number {
  const mass = new Float64Array(masses.length + 1);
  const information = new Float64Array(masses.length + 1);
  const inUse = new Float64Array(masses.length + 1);
  masses.forEach((b, i) => {
    mass[i + 1] = mass[i]! + b;
    information[i + 1] = information[i]! + (b > 0 ? b * Math.log(b) : 0);
    inUse[i + 1] = inUse[i]! + (b > 0 ? 1 : 0);
  });
  const total = mass[masses.length]!;
  return (bins, levels) => {
    const kept = mass[bins]!;
    const beyond = total - kept;
    const last = masses[bins - 1]!;
    if (last === 0) return Number.POSITIVE_INFINITY;
    let coded = 0;
    let lastMean = 0;
    for (let level = 0, from = 0; level < levels; level++) {
      const to = Math.ceil(((level + 1) * bins) / levels);
      const used = inUse[to]! - inUse[from]!;
      // The last level's sum is taken anew: a difference of running totals may lose a small one altogether.
      const here = to < bins ? mass[to]! - mass[from]! : masses.subarray(from, to).reduce((sum, b) => sum + b, 0);
      if (used > 0 && here > 0) {
        lastMean = Math.log(here / used);
        coded += here * lastMean;
      }
      from = to;
    }
    const clipped = (last + beyond) * Math.log(last + beyond);
    const original = information[bins - 1]! + clipped;
    return (original - coded - beyond * lastMean) / total + Math.log(kept / total);
  };
}
