/**
 * The kernels once more, naive and scalar, straight from the reference's text. Nothing here is shared with kernels/.
 */
const f32 = Math.fround;
export const FLT_MAX = 3.4028234663852886e38;

/** C's round: to the nearest integer, ties away from zero; for floats and doubles, exact. */
export function round(x: number): number {
  if (!Number.isFinite(x)) return x;
  const whole = Math.trunc(x);
  // The remainder of a truncation is exact.
  return Math.abs(x - whole) >= 0.5 ? whole + Math.sign(x) : whole;
}

/** A conversion to an integer that saturates; NaN is 0 (ours, the reference leaves it undefined). */
function toInteger(x: number, low: number, high: number): number {
  if (Number.isNaN(x)) return 0;
  return Math.min(Math.max(Math.trunc(x), low), high) + 0;
}

const i32 = (x: number): number => toInteger(x, -2147483648, 2147483647);
const clamp = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);

export type Shape = { channels: number; inner: number };

function channelOf(element: number, { channels, inner }: Shape): number {
  return Math.floor(element / inner) % channels;
}

/** §3.1, whole tensor. */
export function minmax(values: Float32Array): { min: number; max: number; nans: number } {
  let min = FLT_MAX;
  let max = -FLT_MAX;
  let nans = 0;
  for (const v of values) {
    if (v < min) min = v;
    if (v > max) max = v;
    if (Number.isNaN(v)) nans++;
  }
  return { min, max, nans };
}

/** §7.3. */
export function observe(values: Float32Array): { min: number; max: number; seen: number } {
  let min = FLT_MAX;
  let max = -FLT_MAX;
  let seen = 0;
  for (const v of values) {
    if (Number.isNaN(v) || v === -FLT_MAX) continue;
    seen++;
    if (v < min) min = v;
    if (v > max) max = v;
  }
  return { min, max, seen };
}

/** §3.1, per channel. Element bits are kept apart, so that a NaN's payload is compared too. */
export function channels(
  values: Float32Array,
  shape: Shape,
): { mins: Uint32Array<ArrayBuffer>; maxs: Uint32Array<ArrayBuffer>; nans: number } {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const mins = new Uint32Array(shape.channels);
  const maxs = new Uint32Array(shape.channels);
  const minimum = new Float32Array(mins.buffer);
  const maximum = new Float32Array(maxs.buffer);
  let nans = 0;
  if (values.length === 0) {
    minimum.fill(FLT_MAX);
    maximum.fill(-FLT_MAX);
  }
  const begun = new Set<number>();
  for (let i = 0; i < values.length; i++) {
    const c = channelOf(i, shape);
    const v = values[i]!;
    if (Number.isNaN(v)) nans++;
    if (!begun.has(c)) {
      begun.add(c);
      mins[c] = bits[i]!;
      maxs[c] = bits[i]!;
    } else {
      if (v < minimum[c]!) mins[c] = bits[i]!;
      if (v > maximum[c]!) maxs[c] = bits[i]!;
    }
  }
  return { mins, maxs, nans };
}

/** The parameters of the channels, as §3.4 names them. */
export type Parameters = { nmin: Float32Array; nmax: Float32Array; inv: Float32Array; scale: Float32Array };

/** The reference's clipping, comparison by comparison: NaN passes, zeros keep their sign. */
function clip(v: number, nmin: number, nmax: number): number {
  let d = v;
  if (d < nmin) d = nmin;
  if (d > nmax) d = nmax;
  return d;
}

function qa(v: number, nmin: number, nmax: number, inv: number): number {
  const d = clip(v, nmin, nmax);
  return clamp(i32(round(f32(f32(d - nmin) * inv))), 0, 255);
}

function qs(v: number, nmin: number, nmax: number, inv: number, limit: number): number {
  const d = clip(v, nmin, nmax);
  return clamp(i32(round(f32(d * inv))), -limit, limit);
}

export function asym(values: Float32Array, shape: Shape, p: Parameters): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(values, (v, i) => {
    const c = channelOf(i, shape);
    return qa(v, p.nmin[c]!, p.nmax[c]!, p.inv[c]!);
  });
}

export function asym0(values: Float32Array, shape: Shape, p: Parameters): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(values, (v, i) => {
    const c = channelOf(i, shape);
    return clamp(i32(round(f32(f32(v - p.nmin[c]!) * p.inv[c]!))), 0, 255);
  });
}

export function sym(values: Float32Array, shape: Shape, p: Parameters, limit: number): Int16Array<ArrayBuffer> {
  return Int16Array.from(values, (v, i) => {
    const c = channelOf(i, shape);
    return qs(v, p.nmin[c]!, p.nmax[c]!, p.inv[c]!, limit);
  });
}

export function sym0(values: Float32Array, shape: Shape, p: Parameters): Int16Array<ArrayBuffer> {
  return Int16Array.from(values, (v, i) => clamp(i32(round(f32(v * p.inv[channelOf(i, shape)]!))), -32767, 32767));
}

export function fakeasym(values: Float32Array, shape: Shape, p: Parameters): Float32Array<ArrayBuffer> {
  return Float32Array.from(values, (v, i) => {
    const c = channelOf(i, shape);
    return f32(f32(qa(v, p.nmin[c]!, p.nmax[c]!, p.inv[c]!) * p.scale[c]!) + p.nmin[c]!);
  });
}

export function fakesym(values: Float32Array, shape: Shape, p: Parameters, limit: number): Float32Array<ArrayBuffer> {
  return Float32Array.from(values, (v, i) => {
    const c = channelOf(i, shape);
    return f32((qs(v, p.nmin[c]!, p.nmax[c]!, p.inv[c]!, limit) + 0) * p.scale[c]!);
  });
}

/** QP: f64 product, zero point added after rounding. */
export function propagate(v: number, inv: number, zeroPoint: number, low: number, high: number): number {
  const q = round(v * inv) + f32(zeroPoint);
  return clamp(i32(q), low, high);
}

/** §3.6, §10.15. `bits` 32 or 64. */
export function bias(
  values: Float32Array,
  sin: number,
  sw: Float32Array,
  bits: 32 | 64,
): { scales: Float32Array<ArrayBuffer>; integers: bigint[]; overflowed: number } {
  const high = 2n ** BigInt(bits - 1) - 1n;
  const low = -high - 1n;
  const scales = Float32Array.from(sw, (s) => f32(sin * s));
  let overflowed = 0;
  const integers = Array.from(values, (b, i) => {
    const s = scales[sw.length === 1 ? 0 : i]!;
    const inv = s === 0 ? 0 : f32(1 / s);
    const x = round(f32(b * inv));
    if (Number.isNaN(x)) {
      overflowed++;
      return 0n;
    }
    if (!Number.isFinite(x) || BigInt(x) > high || BigInt(x) < low) {
      overflowed++;
      return x > 0 ? high : low;
    }
    return BigInt(x);
  });
  return { scales, integers, overflowed };
}

/** Bits of the float32 that equals a float16. */
export function half(h: number): number {
  const sign = h >>> 15;
  const exponent = (h >>> 10) & 31;
  const mantissa = h & 1023;
  if (exponent === 31) return ((sign << 31) | 0x7f800000 | (mantissa << 13)) >>> 0;
  const value = exponent === 0 ? mantissa * 2 ** -24 : (1024 + mantissa) * 2 ** (exponent - 25);
  return new Uint32Array(Float32Array.of(sign ? -value : value).buffer)[0]!;
}

/** Small, quick, and the same on every machine. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}
