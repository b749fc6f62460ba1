/** Samples → figures. No timing here, so that it can be tested. */

/** The middle one; of an even number, the mean of the two in the middle. */
export function median(samples: readonly number[]): number {
  if (samples.length === 0) throw new RangeError("the median of nothing");
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

export function spread(samples: readonly number[]): Spread {
  return { min: Math.min(...samples), median: median(samples), max: Math.max(...samples) };
}

/** Times of two things that took turns: `top[i]` and `bottom[i]` are neighbours in time. */
export interface Sides {
  /** What is divided, and by what. */
  readonly names: readonly [string, string];
  readonly unit: "s" | "ms";
  readonly top: readonly number[];
  readonly bottom: readonly number[];
}

export interface Ratios {
  /** One ratio a pair. Whatever slows the machine down for a second slows both of a pair, so these spread least. */
  readonly ofPairs: readonly number[];
  readonly ofMedians: number;
  readonly ofMinima: number;
}

export function ratios({ top, bottom }: Sides): Ratios {
  if (top.length !== bottom.length) throw new RangeError(`${top.length} samples cannot pair with ${bottom.length}`);
  return {
    ofPairs: top.map((value, i) => value / bottom[i]!),
    ofMedians: median(top) / median(bottom),
    ofMinima: Math.min(...top) / Math.min(...bottom),
  };
}

/** Four digits that count: more are noise, and make the kept file long. */
export function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
