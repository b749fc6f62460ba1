/**
 * Floats to integers: the rules QA, QA0, QS, QS0 and QP of reference §3.4.
 *
 * Every list parameter of these functions is a pointer and a count, every result a pointer to (pointer, count): the
 * canonical ABI of kernels.wit.
 */
import { convert, store1, store4, unbounded } from "./elements";
import { demand, listResult, reserve } from "./memory";

/** QA: round((clip(v, nmin, nmax) - nmin) * inv) within 0..255. → list<u8> */
export function asym(
  values: usize,
  count: usize,
  channels: u32,
  inner: u32,
  nmin: usize,
  nminCount: usize,
  nmax: usize,
  nmaxCount: usize,
  inv: usize,
  invCount: usize,
): usize {
  demand(nminCount == channels && nmaxCount == channels && invCount == channels);
  return convert<u8, u8>(values, count, channels, inner, nmin, nmax, 4, nmin, 4, inv, 0, 255);
}

/** QA0: round((v - min) * inv) within 0..255. → list<u8> */
export function asym0(
  values: usize,
  count: usize,
  channels: u32,
  inner: u32,
  min: usize,
  minCount: usize,
  inv: usize,
  invCount: usize,
): usize {
  demand(minCount == channels && invCount == channels);
  const bounds = unbounded();
  return convert<u8, u8>(values, count, channels, inner, bounds, bounds + 4, 0, min, 4, inv, 0, 255);
}

/** QS: round(clip(v, nmin, nmax) * inv) within ±limit. → list<s16> */
export function sym(
  values: usize,
  count: usize,
  channels: u32,
  inner: u32,
  nmin: usize,
  nminCount: usize,
  nmax: usize,
  nmaxCount: usize,
  inv: usize,
  invCount: usize,
  limit: i32,
): usize {
  demand(nminCount == channels && nmaxCount == channels && invCount == channels);
  return convert<i16, i16>(values, count, channels, inner, nmin, nmax, 4, nmin, 4, inv, 0, limit);
}

/** QS into bytes, limit 127 (int8) or 7 (int4). → list<s8> */
export function symbyte(
  values: usize,
  count: usize,
  channels: u32,
  inner: u32,
  nmin: usize,
  nminCount: usize,
  nmax: usize,
  nmaxCount: usize,
  inv: usize,
  invCount: usize,
  limit: i32,
): usize {
  demand(nminCount == channels && nmaxCount == channels && invCount == channels);
  return convert<i16, i8>(values, count, channels, inner, nmin, nmax, 4, nmin, 4, inv, 0, limit);
}

/** QS0: round(v * inv) within ±32767. → list<s16> */
export function sym0(values: usize, count: usize, channels: u32, inner: u32, inv: usize, invCount: usize): usize {
  demand(invCount == channels);
  const bounds = unbounded();
  return convert<i16, i16>(values, count, channels, inner, bounds, bounds + 4, 0, bounds, 0, inv, 0, 32767);
}

/** The double below one half; see elements.ts for why this rounds like C's round. */
const ALMOST_HALF: f64 = 0.49999999999999994;

/** QP of two floats (the low lanes of `v`): i32x4 with two results in front. */
// @ts-ignore: decorator
@inline
function propagatedPair(v: v128, inv: v128, zeroPoint: v128): v128 {
  const x = f64x2.mul(f64x2.promote_low_f32x4(v), inv);
  const half = v128.or(v128.and(x, f64x2.splat(-0.0)), f64x2.splat(ALMOST_HALF));
  const rounded = f64x2.trunc(f64x2.add(x, half));
  // Saturates to the int32 range, which is the rule's clamp; NaN gives 0.
  return i32x4.trunc_sat_f64x2_s_zero(f64x2.add(rounded, zeroPoint));
}

// @ts-ignore: decorator
@inline
function propagated(v: v128, inv: v128, zeroPoint: v128): v128 {
  const low = propagatedPair(v, inv, zeroPoint);
  const high = propagatedPair(v128.shuffle<i64>(v, v, 1, 0), inv, zeroPoint);
  return v128.shuffle<i64>(low, high, 0, 2);
}

/** QP: round(f64(v) * f64(inv)) + zero point, all in f64. One scale for all elements. */
function propagate<O>(values: usize, count: usize, inverse: f32, zeroPointInteger: i32): usize {
  const output = reserve(count * sizeof<O>());
  const area = listResult(output, count);
  const inv = f64x2.splat(<f64>inverse);
  const zeroPoint = f64x2.splat(<f64>(<f32>zeroPointInteger));
  const limit = i32x4.splat(32767);
  const vectors = count & ~3;
  let i: usize = 0;
  for (; i < vectors; i += 4) {
    store4<O>(output + i * sizeof<O>(), propagated(v128.load(values + (i << 2), 0, 1), inv, zeroPoint), limit);
  }
  for (; i < count; i++) {
    store1<O>(output + i * sizeof<O>(), propagated(v128.load32_splat(values + (i << 2), 0, 1), inv, zeroPoint), limit);
  }
  return area;
}

/** QP within 0..255. → list<u8> */
export function propagatebyte(values: usize, count: usize, inv: f32, zeroPoint: i32): usize {
  return propagate<u8>(values, count, inv, zeroPoint);
}

/** QP within ±32767. → list<s16> */
export function propagateshort(values: usize, count: usize, inv: f32, zeroPoint: i32): usize {
  return propagate<i16>(values, count, inv, zeroPoint);
}
