/** float16 read as float32, and float32 rounded to float16. */
import { elementsResult, listResult, reserve } from "./memory";

/**
 * Four float16, sign-extended to 32 bits, as float32; exact for all 65536 patterns.
 *
 *     s eeeee mmmmmmmmmm                    float16, bias 15
 *     s eeeeeeee mmmmmmmmmm0000000000000    float32, bias 127
 *
 * Normal numbers: shift, add 112 to the exponent. Subnormal numbers: with an exponent of 113 the shifted bits are 2^-14 too
 * much, and that difference is exact; no operand is a subnormal float32, which some processors are slow with. Infinity
 * and NaN: exponent 255 whatever it was, payload shifted; a signalling NaN stays one, since what is subtracted
 * from is an ordinary number until then.
 */
// @ts-ignore: decorator
@inline
export function widened(h: v128): v128 {
  const magnitude = v128.and(h, i32x4.splat(0x7fff));
  const isSubnormal = i32x4.gt_s(i32x4.splat(0x0400), magnitude);
  const isSpecial = i32x4.gt_s(magnitude, i32x4.splat(0x7bff));
  const exponent = i32x4.add(i32x4.splat(112 << 23), v128.and(isSubnormal, i32x4.splat(1 << 23)));
  const surplus = v128.and(isSubnormal, i32x4.splat(113 << 23));
  const value = f32x4.sub(i32x4.add(i32x4.shl(magnitude, 13), exponent), surplus);
  const outside = v128.or(v128.and(isSpecial, i32x4.splat(0x7f800000)), v128.and(h, i32x4.splat(0x80000000)));
  return v128.or(value, outside);
}

/** → list<f32> */
export function half(values: usize, count: usize): usize {
  const output = reserve(count << 2);
  const area = listResult(output, count);
  let i: usize = 0;
  for (; i + 8 <= count; i += 8) {
    const from = values + (i << 1);
    const to = output + (i << 2);
    v128.store(to, widened(v128.load_ext<i16>(from, 0, 1)), 0, 1);
    v128.store(to, widened(v128.load_ext<i16>(from, 8, 1)), 16, 1);
  }
  for (; i < count; i++) {
    v128.store32_lane(output + (i << 2), widened(i32x4.splat(load<i16>(values + (i << 1)))), 0, 0, 1);
  }
  return area;
}

/**
 * Four float32 as float16 in the lanes, to the nearest, ties to even, as IEEE 754 has it; NaN becomes the quiet one.
 *
 * Normal numbers: subtract 112 from the exponent; what is cut off is rounded by adding half of the last place less one, and one more
 * where the last place is odd. Numbers below 2^-14: adding 0.5, whose last place is 2^-24 as theirs, lets the addition round.
 */
// @ts-ignore: decorator
@inline
export function halfOf(v: v128): v128 {
  const sign = v128.and(v, i32x4.splat(0x80000000));
  const magnitude = v128.xor(v, sign);
  const odd = v128.and(i32x4.shr_u(magnitude, 13), i32x4.splat(1));
  const moved = i32x4.add(magnitude, i32x4.splat(0xfff - (112 << 23)));
  const normal = i32x4.shr_u(i32x4.add(moved, odd), 13);
  const small = i32x4.sub(f32x4.add(magnitude, f32x4.splat(0.5)), i32x4.splat(0x3f000000));
  const isSmall = i32x4.lt_s(magnitude, i32x4.splat(113 << 23));
  // 65536 and more; what lies between 65520 and that was rounded to infinity by the carry.
  const isLarge = i32x4.gt_s(magnitude, i32x4.splat(0x477fffff));
  const isNone = i32x4.gt_s(magnitude, i32x4.splat(0x7f800000));
  const special = v128.bitselect(i32x4.splat(0x7e00), i32x4.splat(0x7c00), isNone);
  const finite = v128.bitselect(small, normal, isSmall);
  return v128.or(v128.bitselect(special, finite, isLarge), i32x4.shr_u(sign, 16));
}

/** All ones where a number became infinite. */
// @ts-ignore: decorator
@inline
function overflowed(v: v128, h: v128): v128 {
  const became = i32x4.eq(v128.and(h, i32x4.splat(0x7fff)), i32x4.splat(0x7c00));
  return v128.and(became, f32x4.lt(f32x4.abs(v), f32x4.splat(f32.POSITIVE_INFINITY)));
}

/** float32 as float16, and how many numbers were too large and became infinite. → (list<u16>, u32) */
export function tohalf(values: usize, count: usize): usize {
  const output = elementsResult(count << 1);
  const area = reserve(12);
  let lost = i32x4.splat(0);
  let i: usize = 0;
  for (; i + 8 <= count; i += 8) {
    const from = values + (i << 2);
    const a = v128.load(from, 0, 1);
    const b = v128.load(from, 16, 1);
    const low = halfOf(a);
    const high = halfOf(b);
    lost = i32x4.sub(i32x4.sub(lost, overflowed(a, low)), overflowed(b, high));
    v128.store(output + (i << 1), i16x8.narrow_i32x4_u(low, high), 0, 1);
  }
  let total: u32 =
    i32x4.extract_lane(lost, 0) +
    i32x4.extract_lane(lost, 1) +
    i32x4.extract_lane(lost, 2) +
    i32x4.extract_lane(lost, 3);
  for (; i < count; i++) {
    const v = f32x4.splat(load<f32>(values + (i << 2)));
    const h = halfOf(v);
    total -= i32x4.extract_lane(overflowed(v, h), 0);
    store<u16>(output + (i << 1), <u16>i32x4.extract_lane(h, 0));
  }
  store<u32>(area, <u32>output);
  store<u32>(area, <u32>count, 4);
  store<u32>(area, total, 8);
  return area;
}
