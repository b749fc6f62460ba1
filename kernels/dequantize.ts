/**
 * Integers back to the float32 values that they stand for, reference §5.6: f32(f32(i64(q) - zero point) * scale).
 *
 * Elements are [outer, channels, inner] as everywhere; scale and zero point have one value a channel.
 */
import { demand, listResult, reserve } from "./memory";

// @ts-ignore: decorator
@inline
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
  let from = values;
  let to = output;
  const end = output + (count << 2);
  while (to < end) {
    for (let channel: usize = 0; channel < <usize>channels; channel++) {
      const s = load<f32>(scale + (channel << 2));
      const z = load<i64>(zeropoint + (channel << 3));
      for (let i: u32 = 0; i < inner; i++) {
        store<f32>(to, <f32>(<i64>load<T>(from) - z) * s);
        from += sizeof<T>();
        to += 4;
      }
    }
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
