/**
 * Integers back to the float32 values that they stand for, reference §5.6: f32(f32(i64(q) - zero point) * scale).
 *
 * Elements are [outer, channels, inner] as everywhere; scale and zero point have one value a channel.
 *
 * There are three ways to the float32 of a difference, all rounded once and thus the same where they apply:
 *
 *     narrow    the difference fits int32, whose conversion is a vector's: bytes and shorts with an ordinary zero point,
 *               int32 without one
 *     double    float64 holds it exactly: int32 with an ordinary zero point
 *     long      int64 element by element, for whatever is left
 */
import { demand, listResult, reserve } from "./memory";
import { byRows, repeatsOf, tiled } from "./rows";

/** Zero points within ±this are ordinary: with any byte or short the difference fits int32, with any int32 float64. */
const ORDINARY: i64 = 1 << 30;

/** Whether all differences fit int32. */
function areNarrow<T>(zeropoint: usize, channels: usize): bool {
  if (sizeof<T>() == 8) return false;
  const most: i64 = sizeof<T>() == 4 ? 0 : ORDINARY;
  for (let c: usize = 0; c < channels; c++) {
    const z = load<i64>(zeropoint + (c << 3));
    if (z > most || z < -most) return false;
  }
  return true;
}

/** Of eight elements the four that begin at `first`, 0 or 4, as i32x4. */
// @ts-ignore: decorator
@inline
function four<T>(from: usize, first: usize): v128 {
  if (sizeof<T>() == 4) return v128.load(from + (first << 2), 0, 1);
  if (sizeof<T>() == 2) return v128.load_ext<i16>(from + (first << 1), 0, 1);
  const bytes = v128.load32_zero(from + first, 0, 1);
  return isSigned<T>()
    ? i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(bytes))
    : i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(bytes));
}

/** The narrow way. */
// @ts-ignore: decorator
@inline
function narrow(q: v128, zero: v128, scale: v128): v128 {
  return f32x4.mul(f32x4.convert_i32x4_s(i32x4.sub(q, zero)), scale);
}

/** `count` elements with the same parameters, the narrow way. */
// @ts-ignore: decorator
@inline
function narrowRun<T>(from: usize, to: usize, count: usize, zeroPoint: i32, step: f32): void {
  const zero = i32x4.splat(zeroPoint);
  const scale = f32x4.splat(step);
  if (count >= 8) {
    const last = count - 8;
    // The last block is moved back to end with the data (elements.ts).
    for (let i: usize = 0; ; ) {
      const at = from + i * sizeof<T>();
      v128.store(to + (i << 2), narrow(four<T>(at, 0), zero, scale), 0, 1);
      v128.store(to + (i << 2), narrow(four<T>(at, 4), zero, scale), 16, 1);
      if (i == last) return;
      i = min(i + 8, last);
    }
  }
  for (let i: usize = 0; i < count; i++)
    store<f32>(to + (i << 2), <f32>(<i32>load<T>(from + i * sizeof<T>()) - zeroPoint) * step);
}

/** `count` elements, each with its own parameters, the narrow way. */
// @ts-ignore: decorator
@inline
function narrowRow<T>(from: usize, to: usize, count: usize, zeros: usize, scales: usize): void {
  if (count >= 8) {
    const last = count - 8;
    for (let i: usize = 0; ; ) {
      const at = from + i * sizeof<T>();
      const list = i << 2;
      const low = narrow(four<T>(at, 0), v128.load(zeros + list, 0, 1), v128.load(scales + list, 0, 1));
      const high = narrow(four<T>(at, 4), v128.load(zeros + list, 16, 1), v128.load(scales + list, 16, 1));
      v128.store(to + list, low, 0, 1);
      v128.store(to + list, high, 16, 1);
      if (i == last) return;
      i = min(i + 8, last);
    }
  }
  for (let i: usize = 0; i < count; i++) {
    const q = <i32>load<T>(from + i * sizeof<T>()) - load<i32>(zeros + (i << 2));
    store<f32>(to + (i << 2), <f32>q * load<f32>(scales + (i << 2)));
  }
}

/** Two int32 in the low lanes, the double way: their float32 in front. */
// @ts-ignore: decorator
@inline
function double(q: v128, zero: v128): v128 {
  return f32x4.demote_f64x2_zero(f64x2.sub(f64x2.convert_low_i32x4_s(q), zero));
}

/** `count` elements of any type with the same parameters; the double way where it applies, else the long one. */
// @ts-ignore: decorator
@inline
function run<T>(from: usize, to: usize, count: usize, zeroPoint: i64, step: f32): void {
  let i: usize = 0;
  if (sizeof<T>() == 4 && zeroPoint <= ORDINARY && zeroPoint >= -ORDINARY) {
    const zero = f64x2.splat(<f64>zeroPoint);
    const scale = f32x4.splat(step);
    for (; i + 4 <= count; i += 4) {
      const at = from + (i << 2);
      const low = double(v128.load64_zero(at, 0, 1), zero);
      const high = double(v128.load64_zero(at, 8, 1), zero);
      v128.store(to + (i << 2), f32x4.mul(v128.shuffle<i64>(low, high, 0, 2), scale), 0, 1);
    }
  }
  for (; i < count; i++)
    store<f32>(to + (i << 2), <f32>(<i64>load<T>(from + i * sizeof<T>()) - zeroPoint) * step);
}

/** Zero points as int32, which they fit. */
function shortened(zeropoint: usize, channels: usize): usize {
  const list = reserve(channels << 2);
  for (let c: usize = 0; c < channels; c++) store<i32>(list + (c << 2), <i32>load<i64>(zeropoint + (c << 3)));
  return list;
}

/** All elements of [outer, channels, inner]. → list<f32> */
function expand<T>(
  values: usize,
  count: usize,
  channels: u32,
  inner: u32,
  scale: usize,
  zeropoint: usize,
): usize {
  const output = reserve(count << 2);
  const area = listResult(output, count);
  const isNarrow = areNarrow<T>(zeropoint, channels);
  const outer = count / (<usize>channels * <usize>inner);
  if (isNarrow && byRows(outer, channels, inner)) {
    const repeats = repeatsOf(outer, channels, inner);
    const zeros = tiled(shortened(zeropoint, channels), 4, channels, inner, repeats);
    const scales = tiled(scale, 4, channels, inner, repeats);
    const period = <usize>channels * <usize>inner * repeats;
    for (let at: usize = 0; at < count; at += period)
      narrowRow<T>(values + at * sizeof<T>(), output + (at << 2), min(period, count - at), zeros, scales);
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
    if (isNarrow) narrowRun<T>(from, to, length, <i32>z, s);
    else run<T>(from, to, length, z, s);
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
