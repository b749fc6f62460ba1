/**
 * Percentile over all values of all samples (docs/calibration.md). Source: Wu, Judd, Zhang, Isaev, Micikevicius, "Integer Quantization for
 * Deep Learning Inference: Principles and Empirical Evaluation", 2020 (arXiv:2004.09602), section 4.2, here for both ends apart as
 * asymmetric quantization wants it.
 */
import type { Distribution } from "./distribution.ts";

/**
 * The p-th percentile, p in [0, 100], with linear interpolation between the two nearest values (NumPy's default, Hyndman and Fan's
 * type 7), as float32. The values of a piece are taken to lie evenly in it, so the result is off by less than the width of the bins of
 * those two values; the smallest and the largest value are exact.
 */
export function percentileOfAll(distribution: Distribution, p: number): number {
  const total = distribution.counts.reduce((sum, count) => sum + count, 0);
  const rank = ((total - 1) * p) / 100;
  const below = Math.floor(rank);
  const share = rank - below;
  const first = valueAt(distribution, below, total);
  if (share === 0) return Math.fround(first);
  const second = valueAt(distribution, below + 1, total);
  // Equal infinite neighbours would give inf − inf.
  return Math.fround(first === second ? first : first + share * (second - first));
}

/** The value with `rank` values before it in ascending order. */
function valueAt({ lows, highs, counts, min, max }: Distribution, rank: number, total: number): number {
  if (rank <= 0) return min;
  if (rank >= total - 1) return max;
  let before = 0;
  for (let i = 0; i < counts.length; i++) {
    if (rank < before + counts[i]!) {
      const [low, high] = [lows[i]!, highs[i]!];
      return low === high ? low : low + (high - low) * ((rank - before + 0.5) / counts[i]!);
    }
    before += counts[i]!;
  }
  throw new RangeError(`rank ${rank} of ${total} values`);
}
