/**
 * Biases, reference §3.6: a bias's scale is input scale × weight scale, so that it can be added to the accumulator.
 *
 * Scalar code: a bias has one element a channel.
 */
import { demand, reserve } from "./memory";

/** The float below one half; see elements.ts for why this rounds like C's roundf. */
const ALMOST_HALF: f32 = 0.49999997;

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
  // Both limits are exact floats: an integer type holds -limit and everything below limit.
  const limit: f32 = sizeof<I>() == 4 ? 2147483648.0 : 9223372036854775808.0;
  let overflowed: u32 = 0;
  let inv: f32 = 0;
  for (let i: usize = 0; i < swCount; i++) store<f32>(scales + (i << 2), sin * load<f32>(sw + (i << 2)));
  for (let i: usize = 0; i < count; i++) {
    if (i < swCount) {
      const scale = load<f32>(scales + (i << 2));
      inv = scale == 0 ? 0 : <f32>(1.0 / <f64>scale);
    }
    const x = load<f32>(values + (i << 2)) * inv;
    const rounded = trunc<f32>(x + copysign<f32>(ALMOST_HALF, x));
    if (!(rounded >= -limit && rounded < limit)) overflowed++;
    // The conversion saturates, and takes NaN to 0.
    if (sizeof<I>() == 4) store<i32>(output + (i << 2), <i32>rounded);
    else store<i64>(output + (i << 3), <i64>rounded);
  }
  store<u32>(area, <u32>scales);
  store<u32>(area, <u32>swCount, 4);
  store<u32>(area, <u32>output, 8);
  store<u32>(area, <u32>count, 12);
  store<u32>(area, overflowed, 16);
  return area;
}

/** → (scales, list<s32>, overflowed) */
export function bias(values: usize, count: usize, sin: f32, sw: usize, swCount: usize): usize {
  return quantizeBias<i32>(values, count, sin, sw, swCount);
}

/** → (scales, list<s64>, overflowed) */
export function biaslong(values: usize, count: usize, sin: f32, sw: usize, swCount: usize): usize {
  return quantizeBias<i64>(values, count, sin, sw, swCount);
}
