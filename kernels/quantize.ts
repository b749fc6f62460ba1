/**
 * Floats to integers: the rules QA, QA0, QS and QS0 of reference §3.4; propagate.ts has QP.
 *
 * Every list parameter of these functions is a pointer and a count, every result a pointer to (pointer, count): the
 * canonical ABI of kernels.wit.
 */
import { convert, unbounded } from "./elements";
import { demand } from "./memory";

/** QA: round((clip(v, nmin, nmax) - nmin) * inv) within 0..255. → list<u8> */
export function asym(
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
): usize {
  demand(nminCount == channels && nmaxCount == channels && invCount == channels);
  return convert<u8, u8>(values, count, channels, inner, nmin, nmax, 4, nmin, 4, inv, 0, 255);
}

/** QA0: round((v - min) * inv) within 0..255. → list<u8> */
export function asym0(
  values: usize,
  count: usize,
  channels: u32,
  inner: u32,
  min: usize,
  minCount: usize,
  inv: usize,
  invCount: usize,
): usize {
  demand(minCount == channels && invCount == channels);
  const bounds = unbounded();
  return convert<u8, u8>(values, count, channels, inner, bounds, bounds + 4, 0, min, 4, inv, 0, 255);
}

/** QS: round(clip(v, nmin, nmax) * inv) within ±limit. → list<s16> */
export function sym(
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
  limit: i32,
): usize {
  demand(nminCount == channels && nmaxCount == channels && invCount == channels);
  return convert<i16, i16>(values, count, channels, inner, nmin, nmax, 4, nmin, 4, inv, 0, limit);
}

/** QS into bytes, limit 127 (int8) or 7 (int4). → list<s8> */
export function symbyte(
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
  limit: i32,
): usize {
  demand(nminCount == channels && nmaxCount == channels && invCount == channels);
  return convert<i16, i8>(values, count, channels, inner, nmin, nmax, 4, nmin, 4, inv, 0, limit);
}

/** QS0: round(v * inv) within ±32767. → list<s16> */
export function sym0(values: usize, count: usize, channels: u32, inner: u32, inv: usize, invCount: usize): usize {
  demand(invCount == channels);
  const bounds = unbounded();
  return convert<i16, i16>(values, count, channels, inner, bounds, bounds + 4, 0, bounds, 0, inv, 0, 32767);
}
