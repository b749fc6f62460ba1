/**
 * The modes that look at all values, naive: everything is kept, every candidate is tried by the definition. Nothing here is shared with
 * src/calibration.
 */
const f32 = Math.fround;
const FLT_MAX = 3.4028234663852886e38;

/** Samples of a distribution, reproducible. */
export function draw(count: number, seed: number, shape: (uniform: () => number) => number): Float32Array {
  let state = seed >>> 0;
  const uniform = () => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return Float32Array.from({ length: count }, () => shape(uniform));
}

export const normal = (uniform: () => number) =>
  Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
export const laplace = (uniform: () => number) => {
  const u = uniform() - 0.5;
  return -Math.sign(u) * Math.log(1 - 2 * Math.abs(u));
};

/** §7.3: what counts as a value. */
export function valuesThatCount(values: Float32Array): number[] {
  return [...values].filter((value) => !Number.isNaN(value) && value !== -FLT_MAX);
}

/** Percentile by sorting, linear between neighbours (Hyndman and Fan's type 7), in float64. */
export function percentile(values: readonly number[], p: number): { value: number; neighbours: [number, number] } {
  const sorted = [...values].sort((a, b) => a - b);
  const place = ((sorted.length - 1) * p) / 100;
  const neighbours: [number, number] = [sorted[Math.floor(place)]!, sorted[Math.ceil(place)]!];
  const [a, b] = neighbours;
  return { value: a === b ? a : a + (place - Math.floor(place)) * (b - a), neighbours };
}

/** Width of a bin: 1024 equal ones from a power of two to the next; everything below 2^-136 is one bin to either side of zero. */
export function binWidth(value: number): number {
  const magnitude = Math.abs(value);
  if (magnitude < 2 ** -126) return 2 ** -136;
  let octave = Math.floor(Math.log2(magnitude));
  while (2 ** octave > magnitude) octave--;
  while (2 ** (octave + 1) <= magnitude) octave++;
  return 2 ** (octave - 10);
}

/** Counts of magnitudes in 2048 equal bins up to the largest, zeros left out: the histogram of Migacz' slides. */
export function magnitudeHistogram(values: readonly number[]): number[] {
  const largest = Math.max(...values.map(Math.abs));
  const bins = new Array(2048).fill(0);
  for (const value of values) {
    if (value !== 0) bins[Math.min(2047, Math.floor((Math.abs(value) / largest) * 2048))]++;
  }
  return bins;
}

/** KL divergence of the first `size` bins at `levels` levels, by making P and Q. */
export function divergence(bins: readonly number[], size: number, levels: number): number {
  const p = bins.slice(0, size);
  const q = new Array(size).fill(0);
  for (let level = 0; level < levels; level++) {
    // Bin b is in the level that the b-th of `size` equal steps begins in.
    const members = p.map((_, bin) => bin).filter((bin) => Math.floor((bin * levels) / size) === level);
    const used = members.filter((bin) => p[bin]! > 0);
    const mass = members.reduce((sum, bin) => sum + p[bin]!, 0);
    for (const bin of used) q[bin] = mass / used.length;
  }
  p[size - 1]! += bins.slice(size).reduce((sum, b) => sum + b, 0);
  const total = (list: number[]) => list.reduce((sum, b) => sum + b, 0);
  const [ofP, ofQ] = [total(p), total(q)];
  let result = 0;
  for (let bin = 0; bin < size; bin++) {
    if (p[bin]! === 0) continue;
    if (q[bin]! === 0) return Number.POSITIVE_INFINITY;
    result += (p[bin]! / ofP) * Math.log(p[bin]! / ofP / (q[bin]! / ofQ));
  }
  return result;
}

/** Scale and offset of §3.2 and §3.3, then every value to its nearest level: the mean of the squared errors. */
export function meanSquaredError(
  values: readonly number[],
  range: { min: number; max: number },
  dtype: "UINT8" | "INT16",
): number {
  const low = Math.min(0, range.min);
  const high = Math.max(0, range.max);
  const scale =
    dtype === "UINT8" ? f32(Math.max((high - low) / 255, 1e-5)) : f32(Math.max(Math.max(-low, high) / 32767, 1e-8));
  const zero = dtype === "UINT8" ? Math.min(255, Math.round(-low / Math.max((high - low) / 255, 1e-5))) : 0;
  const [least, most] = dtype === "UINT8" ? [0, 255] : [-32767, 32767];
  let sum = 0;
  for (const value of values) {
    const q = Math.min(most, Math.max(least, Math.round(value / scale) + zero));
    sum += (value - (q - zero) * scale) ** 2;
  }
  return sum / values.length;
}
