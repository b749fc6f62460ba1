/**
 * Whether scanned values may take the kernels for values near their range (kernels/near.ts), which do not clip.
 *
 * Every step of QA and QS is monotone, so the ends of the values and of the range tell all. Parameters that were computed from the
 * values themselves pass, but for ranges next to nothing or next to everything. All in f32, as in the kernels.
 */
const f32 = Math.fround;
const ALMOST_HALF = f32(0.49999997);
/** Where the kernels' way to an integer ends is 2^22. */
const FAR = 2 ** 21;

/** QA: nmax becomes 255, and the values stay where floats are fine. Finite values. */
export function isNearAsymmetric(min: number, max: number, nudgedMin: number, nudgedMax: number, inv: number): boolean {
  const scaled = (value: number) => f32(f32(value - nudgedMin) * inv);
  const last = f32(scaled(nudgedMax) + ALMOST_HALF);
  return last >= 255 && last < 256 && Math.abs(scaled(min)) < FAR && Math.abs(scaled(max)) < FAR;
}

/** QS with limit 32767: nmax becomes the limit, and no value goes past it. Finite values. */
export function isNearSymmetric(min: number, max: number, nudgedMax: number, inv: number): boolean {
  const rounded = (value: number) => f32(f32(value * inv) + ALMOST_HALF);
  const last = rounded(nudgedMax);
  return last >= 32767 && last < 32768 && rounded(max) < 32768 && rounded(-min) < 32768;
}
