/** Fake quantization, reference §5.2: the float32 value that a quantized element stands for. */
import { convert } from "./elements";
import { demand } from "./memory";

/** QA, then f32(f32(q * scale) + nmin). → list<f32> */
export function fakeasym(
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
  scale: usize,
  scaleCount: usize,
): usize {
  demand(nminCount == channels && nmaxCount == channels && invCount == channels && scaleCount == channels);
  return convert<u8, f32>(values, count, channels, inner, nmin, nmax, 4, nmin, 4, inv, scale, 255);
}

/** QS, then f32(q * scale). → list<f32> */
export function fakesym(
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
  scale: usize,
  scaleCount: usize,
  limit: i32,
): usize {
  demand(nminCount == channels && nmaxCount == channels && invCount == channels && scaleCount == channels);
  return convert<i16, f32>(values, count, channels, inner, nmin, nmax, 4, nmin, 4, inv, scale, limit);
}
