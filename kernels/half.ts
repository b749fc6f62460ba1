/**
 * Representations that are not arithmetic: float16 read as float32, int4 packed into bytes.
 */
import { demand, listResult, reserve } from "./memory";

/**
 * Four float16 (zero-extended to 32 bits) as float32; exact for all 65536 patterns.
 *
 *     s eeeee mmmmmmmmmm                    float16, bias 15
 *     s eeeeeeee mmmmmmmmmm0000000000000    float32, bias 127
 *
 * Normal numbers: shift, add 112 to the exponent. Infinity and NaN: exponent 255, payload shifted, a signalling NaN
 * stays one. Subnormal numbers: m * 2^-24, by conversion and an exact product.
 */
// @ts-ignore: decorator
@inline
function widened(h: v128): v128 {
  const magnitude = v128.and(h, i32x4.splat(0x7fff));
  const sign = i32x4.shl(v128.and(h, i32x4.splat(0x8000)), 16);
  const normal = i32x4.add(i32x4.shl(magnitude, 13), i32x4.splat(112 << 23));
  const special = v128.or(i32x4.shl(magnitude, 13), i32x4.splat(0x7f800000));
  const subnormal = f32x4.mul(f32x4.convert_i32x4_s(magnitude), f32x4.splat(reinterpret<f32>(0x33800000)));
  const isSpecial = i32x4.gt_s(magnitude, i32x4.splat(0x7bff));
  const isSubnormal = i32x4.lt_s(magnitude, i32x4.splat(0x0400));
  const value = v128.bitselect(special, v128.bitselect(subnormal, normal, isSubnormal), isSpecial);
  return v128.or(value, sign);
}

/** → list<f32> */
export function half(values: usize, count: usize): usize {
  const output = reserve(count << 2);
  const area = listResult(output, count);
  let i: usize = 0;
  for (; i + 8 <= count; i += 8) {
    const eight = v128.load(values + (i << 1), 0, 1);
    v128.store(output + (i << 2), widened(i32x4.extend_low_i16x8_u(eight)), 0, 1);
    v128.store(output + (i << 2), widened(i32x4.extend_high_i16x8_u(eight)), 16, 1);
  }
  for (; i < count; i++) {
    v128.store32_lane(output + (i << 2), widened(i32x4.splat(load<u16>(values + (i << 1)))), 0, 0, 1);
  }
  return area;
}

/** Two int4 a byte, the first in the low four bits (§5.4); an odd last one is followed by 0. → list<u8> */
export function nibbles(values: usize, count: usize): usize {
  const bytes = (count + 1) >> 1;
  const output = reserve(bytes);
  const area = listResult(output, bytes);
  for (let i: usize = 0; i < bytes; i++) {
    const first = i << 1;
    const low = load<u8>(values + first) & 15;
    const high = first + 1 < count ? load<u8>(values + first + 1) << 4 : 0;
    store<u8>(output + i, low | high);
  }
  return area;
}

/** int4 packed two a byte as one byte each: `signed` ≠ 0 extends the sign. `count` values of `bytes` bytes. → list<s8> */
export function unpack(values: usize, bytes: usize, count: u32, signed: u32): usize {
  demand((<usize>count + 1) >> 1 == bytes);
  const output = reserve(count);
  const area = listResult(output, count);
  for (let i: usize = 0; i < <usize>count; i++) {
    const nibble: u8 = (load<u8>(values + (i >> 1)) >> (<u8>(i & 1) << 2)) & 15;
    store<u8>(output + i, signed != 0 && nibble > 7 ? nibble | 0xf0 : nibble);
  }
  return area;
}
