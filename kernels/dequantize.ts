/**
 * Integers back to the float32 values that they stand for, reference §5.6: f32(f32(i64(q) - zero point) * scale).
 *
 * Elements are [outer, channels, inner] as everywhere; scale and zero point have one value per channel.
 *
 * A difference that fits int32 is converted by vectors, with the same one rounding: that of bytes and shorts with an ordinary
 * zero point always, of int32 nearly always, which is looked after. The rest goes through int64 element by element.
 */
import { demand, listResult, reserve } from "./memory";
import { byRows, repeatsOf, tiled } from "./rows";

/** Zero points within ±this are ordinary: the difference of any byte or short fits int32. */
const ORDINARY: i64 = 1 << 30;

function areOrdinary(zeropoint: usize, channels: usize): bool {
  for (let c: usize = 0; c < channels; c++) {
    const z = load<i64>(zeropoint + (c << 3));
    if (z > ORDINARY || z < -ORDINARY) return false;
  }
  return true;
}

/** Of eight elements the four that begin at `first`, 0 or 4, as i32x4. */
// @ts-ignore: decorator
@inline
function four<T>(from: usize, first: usize): v128 {
  if (sizeof<T>() == 4) return v128.load(from + (first << 2), 0, 1);
  if (sizeof<T>() == 2) return v128.load_ext<i16>(from + (first << 1), 0, 1);
  // What is in the other lanes does not matter; filling all of them is cheaper than clearing them.
  const bytes = v128.load32_splat(from + first, 0, 1);
  return isSigned<T>()
    ? i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(bytes))
    : i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(bytes));
}

/** Negative where q - zero does not fit int32: q and zero have different signs, q and the difference too. */
// @ts-ignore: decorator
@inline
function overflow(q: v128, zero: v128, difference: v128): v128 {
  return v128.and(v128.xor(q, zero), v128.xor(q, difference));
}

/** Eight elements by vectors; false: a difference did not fit, and they have to be done again. */
// @ts-ignore: decorator
@inline
function eight<T>(from: usize, to: usize, zero0: v128, zero1: v128, scale0: v128, scale1: v128): bool {
  const q0 = four<T>(from, 0);
  const q1 = four<T>(from, 4);
  const difference0 = i32x4.sub(q0, zero0);
  const difference1 = i32x4.sub(q1, zero1);
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(difference0), scale0), 0, 1);
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(difference1), scale1), 16, 1);
  if (sizeof<T>() < 4) return true;
  return i32x4.bitmask(v128.or(overflow(q0, zero0, difference0), overflow(q1, zero1, difference1))) == 0;
}

/** One element, whatever it is. */
// @ts-ignore: decorator
@inline
function one<T>(from: usize, to: usize, zeroPoint: i64, scale: f32): void {
  store<f32>(to, <f32>(<i64>load<T>(from) - zeroPoint) * scale);
}

/** `count` elements with the same parameters, one by one. */
function longRun<T>(from: usize, to: usize, count: usize, zeroPoint: i64, scale: f32): void {
  for (let i: usize = 0; i < count; i++) one<T>(from + i * sizeof<T>(), to + (i << 2), zeroPoint, scale);
}

/** `count` elements with the same parameters. The last block is moved back to end with the data, as in elements.ts. */
function run<T>(from: usize, to: usize, count: usize, zeroPoint: i32, step: f32): void {
  if (count < 8) {
    longRun<T>(from, to, count, zeroPoint, step);
    return;
  }
  const zero = i32x4.splat(zeroPoint);
  const scale = f32x4.splat(step);
  const last = count - 8;
  for (let i: usize = 0; ; ) {
    const at = from + i * sizeof<T>();
    if (!eight<T>(at, to + (i << 2), zero, zero, scale, scale)) longRun<T>(at, to + (i << 2), 8, zeroPoint, step);
    if (i == last) return;
    i = min(i + 8, last);
  }
}

/** `count` elements, each with its own parameters, one by one. */
function longRow<T>(from: usize, to: usize, count: usize, zeros: usize, scales: usize): void {
  for (let i: usize = 0; i < count; i++) {
    const list = i << 2;
    one<T>(from + i * sizeof<T>(), to + list, load<i32>(zeros + list), load<f32>(scales + list));
  }
}

/** `count` elements, each with its own parameters. */
function row<T>(from: usize, to: usize, count: usize, zeros: usize, scales: usize): void {
  if (count < 8) {
    longRow<T>(from, to, count, zeros, scales);
    return;
  }
  const last = count - 8;
  for (let i: usize = 0; ; ) {
    const at = from + i * sizeof<T>();
    const list = i << 2;
    const done = eight<T>(
      at,
      to + list,
      v128.load(zeros + list, 0, 1),
      v128.load(zeros + list, 16, 1),
      v128.load(scales + list, 0, 1),
      v128.load(scales + list, 16, 1),
    );
    if (!done) longRow<T>(at, to + list, 8, zeros + list, scales + list);
    if (i == last) return;
    i = min(i + 8, last);
  }
}

/** Ordinary zero points as int32. */
function shortened(zeropoint: usize, channels: usize): usize {
  const list = reserve(channels << 2);
  for (let c: usize = 0; c < channels; c++) store<i32>(list + (c << 2), <i32>load<i64>(zeropoint + (c << 3)));
  return list;
}

/** All elements of [outer, channels, inner]. → list<f32> */
function expand<T>(values: usize, count: usize, channels: u32, inner: u32, scale: usize, zeropoint: usize): usize {
  const output = reserve(count << 2);
  const area = listResult(output, count);
  const byVectors = sizeof<T>() < 8 && areOrdinary(zeropoint, channels);
  const outer = count / (<usize>channels * <usize>inner);
  if (byVectors && byRows(outer, channels, inner)) {
    const repeats = repeatsOf(outer, channels, inner);
    const zeros = tiled(shortened(zeropoint, channels), 4, channels, inner, repeats);
    const scales = tiled(scale, 4, channels, inner, repeats);
    const period = <usize>channels * <usize>inner * repeats;
    for (let at: usize = 0; at < count; at += period)
      row<T>(values + at * sizeof<T>(), output + (at << 2), min(period, count - at), zeros, scales);
    return area;
  }
  // One channel is one run, however it is laid out.
  const length = channels == 1 ? count : <usize>inner;
  let channel: usize = 0;
  for (let at: usize = 0; at < count; at += length) {
    const from = values + at * sizeof<T>();
    const to = output + (at << 2);
    const s = load<f32>(scale + (channel << 2));
    const z = load<i64>(zeropoint + (channel << 3));
    if (byVectors) run<T>(from, to, length, <i32>z, s);
    else longRun<T>(from, to, length, z, s);
    channel = channel + 1 == channels ? 0 : channel + 1;
  }
  return area;
}

/** `kind`: 0 = u8, 1 = s8, 2 = s16, 3 = s32, 4 = s64. → list<f32> */
export function dequantize(
  values: usize,
  bytes: usize,
  kind: u32,
  channels: u32,
  inner: u32,
  scale: usize,
  scaleCount: usize,
  zeropoint: usize,
  zeropointCount: usize,
): usize {
  demand(kind <= 4 && scaleCount == channels && zeropointCount == channels && channels > 0 && inner > 0);
  const shift: usize = kind == 4 ? 3 : kind == 3 ? 2 : kind == 2 ? 1 : 0;
  const count = bytes >> shift;
  demand(count << shift == bytes && count % (<usize>channels * <usize>inner) == 0);
  if (kind == 0) return expand<u8>(values, count, channels, inner, scale, zeropoint);
  if (kind == 1) return expand<i8>(values, count, channels, inner, scale, zeropoint);
  if (kind == 2) return expand<i16>(values, count, channels, inner, scale, zeropoint);
  if (kind == 3) return expand<i32>(values, count, channels, inner, scale, zeropoint);
  return expand<i64>(values, count, channels, inner, scale, zeropoint);
}
