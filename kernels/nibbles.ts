/**
 * int4: two values per byte, the first in the low four bits (reference §5.4), to and from one value per byte. int2: four values per
 * byte, the first in the lowest two bits.
 *
 * In vectors a pair is a lane of 16 bits, little-endian: packed `..HL`, unpacked `.H.L`.
 */
import { demand, elementsResult, listResult, reserve } from "./memory";

/** Pairs of bytes, their upper halves anything, as bytes in the lanes. */
// @ts-ignore: decorator
@inline
function packed(pairs: v128): v128 {
  return v128.or(v128.and(pairs, i16x8.splat(0x000f)), v128.and(i16x8.shr_u(pairs, 4), i16x8.splat(0x00f0)));
}

/** Two int4 per byte; an odd last one is followed by 0. → list<u8> */
export function nibbles(values: usize, count: usize): usize {
  const bytes = (count + 1) >> 1;
  const output = elementsResult(bytes);
  const area = listResult(output, bytes);
  const vectors = (count >> 1) & ~15;
  let i: usize = 0;
  for (; i < vectors; i += 16) {
    const from = values + (i << 1);
    const low = packed(v128.load(from, 0, 1));
    const high = packed(v128.load(from, 16, 1));
    v128.store(output + i, i8x16.narrow_i16x8_u(low, high), 0, 1);
  }
  for (; i < bytes; i++) {
    const first = i << 1;
    const low = load<u8>(values + first) & 15;
    const high = first + 1 < count ? load<u8>(values + first + 1) << 4 : 0;
    store<u8>(output + i, low | high);
  }
  return area;
}

/** Pairs of bytes as two times two bits in the lanes. */
// @ts-ignore: decorator
@inline
function halved(pairs: v128): v128 {
  return v128.or(v128.and(pairs, i16x8.splat(0x0003)), v128.and(i16x8.shr_u(pairs, 6), i16x8.splat(0x000c)));
}

/** Sixteen values as eight bytes of two times two bits, twice. */
// @ts-ignore: decorator
@inline
function halvedTwice(from: usize): v128 {
  return i8x16.narrow_i16x8_u(halved(v128.load(from, 0, 1)), halved(v128.load(from, 16, 1)));
}

/** Four int2 per byte; what lacks at the end is 0. → list<u8> */
export function crumbs(values: usize, count: usize): usize {
  const bytes = (count + 3) >> 2;
  const output = elementsResult(bytes);
  const area = listResult(output, bytes);
  const vectors = (count >> 2) & ~15;
  let i: usize = 0;
  for (; i < vectors; i += 16) {
    const from = values + (i << 2);
    v128.store(output + i, i8x16.narrow_i16x8_u(packed(halvedTwice(from)), packed(halvedTwice(from + 32))), 0, 1);
  }
  for (; i < bytes; i++) {
    const first = i << 2;
    let byte: u32 = 0;
    for (let k: usize = 0; k < 4 && first + k < count; k++)
      byte |= (<u32>load<u8>(values + first + k) & 3) << ((<u32>k) << 1);
    store<u8>(output + i, <u8>byte);
  }
  return area;
}

/** Bytes in the lanes as pairs of bytes: (x ^ sign) - sign extends the sign of four bits where sign = 8. */
// @ts-ignore: decorator
@inline
function unpacked(bytes: v128, sign: v128): v128 {
  const pairs = v128.and(v128.or(bytes, i16x8.shl(bytes, 4)), i8x16.splat(0x0f));
  return i8x16.sub(v128.xor(pairs, sign), sign);
}

/** int4 packed two a byte as one byte each: `signed` ≠ 0 extends the sign. `count` values of `bytes` bytes. → list<s8> */
export function unpack(values: usize, bytes: usize, count: u32, signed: u32): usize {
  demand((<usize>count + 1) >> 1 == bytes);
  const output = reserve(count);
  const area = listResult(output, count);
  const sign: u8 = signed != 0 ? 8 : 0;
  const signs = i8x16.splat(sign);
  const vectors = (<usize>count >> 1) & ~15;
  let i: usize = 0;
  for (; i < vectors; i += 16) {
    const to = output + (i << 1);
    v128.store(to, unpacked(v128.load_ext<u8>(values + i, 0, 1), signs), 0, 1);
    v128.store(to, unpacked(v128.load_ext<u8>(values + i, 8, 1), signs), 16, 1);
  }
  for (i <<= 1; i < <usize>count; i++) {
    const nibble: u8 = (load<u8>(values + (i >> 1)) >> ((<u8>(i & 1)) << 2)) & 15;
    store<u8>(output + i, (nibble ^ sign) - sign);
  }
  return area;
}
