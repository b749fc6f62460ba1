/** float16 read as float32. */
import { listResult, reserve } from "./memory";

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
function widened(h: v128): v128 {
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
