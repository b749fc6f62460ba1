/**
 * Biases, reference §3.6: a bias's scale is input scale × weight scale, so that it can be added to the accumulator.
 *
 * By vectors although a bias has one element per channel: this runs so rarely that an engine interprets it, instruction by instruction.
 */
import { scaled } from "./elements";
import { demand, reserve } from "./memory";

/**
 * b[i] / (sin * sw[i]) as integers of type I, with one sw for all elements or one each.
 * What does not fit goes to the nearer limit (§10.15; the reference stores INT_MIN there) and is counted; NaN is
 * stored as 0 and counted too.
 */
function quantizeBias<I>(values: usize, count: usize, sin: f32, sw: usize, swCount: usize): usize {
  demand(swCount == 1 || swCount == count);
  const scales = reserve(swCount << 2);
  const output = reserve(count * sizeof<I>());
  const area = reserve(20);
  // 2^31 or 2^63, exact floats: an integer type holds -limit and everything below limit.
  const limit: f32 = sizeof<I>() == 4 ? 2147483648.0 : 4294967296.0 * 2147483648.0;
  let overflowed: u32 = 0;
  for (let i: usize = 0; i < swCount; i++) store<f32>(scales + (i << 2), sin * load<f32>(sw + (i << 2)));
  const fours = count & ~3;
  for (let i: usize = 0; i < fours; i += 4) {
    const scale = swCount == 1 ? v128.load32_splat(scales) : v128.load(scales + (i << 2));
    const rounded = quotients(v128.load(values + (i << 2)), scale);
    overflowed += popcnt<i32>(outside(rounded, limit));
    if (sizeof<I>() == 4) v128.store(output + (i << 2), i32x4.trunc_sat_f32x4_s(rounded));
    else {
      store<I>(output + (i << 3), <I>f32x4.extract_lane(rounded, 0));
      store<I>(output + (i << 3), <I>f32x4.extract_lane(rounded, 1), 8);
      store<I>(output + (i << 3), <I>f32x4.extract_lane(rounded, 2), 16);
      store<I>(output + (i << 3), <I>f32x4.extract_lane(rounded, 3), 24);
    }
  }
  for (let i = fours; i < count; i++) {
    const scale = v128.load32_splat(scales + (swCount == 1 ? 0 : i << 2));
    const rounded = quotients(v128.load32_splat(values + (i << 2)), scale);
    overflowed += outside(rounded, limit) & 1;
    store<I>(output + i * sizeof<I>(), <I>f32x4.extract_lane(rounded, 0));
  }
  store<u32>(area, <u32>scales);
  store<u32>(area, <u32>swCount, 4);
  store<u32>(area, <u32>output, 8);
  store<u32>(area, <u32>count, 12);
  store<u32>(area, overflowed, 16);
  return area;
}

/** f32(value * f32(1 / scale)), rounded to a whole number. Conversions to integers saturate, and take NaN to 0. */
// @ts-ignore: decorator
@inline
function quotients(v: v128, scale: v128): v128 {
  const inv = inverses(scale);
  return f32x4.trunc(scaled<i16, void>(v, inv, inv, inv, inv));
}

/** A bit for each of four numbers that do not fit; NaN does not. */
// @ts-ignore: decorator
@inline
function outside(rounded: v128, limit: f32): i32 {
  const fits = v128.and(f32x4.ge(rounded, f32x4.splat(-limit)), f32x4.lt(rounded, f32x4.splat(limit)));
  return ~i32x4.bitmask(fits) & 15;
}

/** f32(1 / scale), computed in f64; 0 for a scale of 0. */
function inverses(scale: v128): v128 {
  const one = f64x2.splat(1);
  const low = f32x4.demote_f64x2_zero(f64x2.div(one, f64x2.promote_low_f32x4(scale)));
  const upper = v128.shuffle<i64>(scale, scale, 1, 1);
  const high = f32x4.demote_f64x2_zero(f64x2.div(one, f64x2.promote_low_f32x4(upper)));
  return v128.andnot(v128.shuffle<i64>(low, high, 0, 2), f32x4.eq(scale, f32x4.splat(0)));
}

/** → (scales, list<s32>, overflowed) */
export function bias(values: usize, count: usize, sin: f32, sw: usize, swCount: usize): usize {
  return quantizeBias<i32>(values, count, sin, sw, swCount);
}

/** → (scales, list<s64>, overflowed) */
export function biaslong(values: usize, count: usize, sin: f32, sw: usize, swCount: usize): usize {
  return quantizeBias<i64>(values, count, sin, sw, swCount);
}
