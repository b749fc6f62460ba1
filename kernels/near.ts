/**
 * QA and QS of values that are known to lie near their range, because they were just scanned: half the work of the rules for any
 * values.
 *
 * Clipping and saturation guard against what cannot happen here. What lies a little outside of the range becomes an integer a
 * little outside of the type, which narrowing saturates: that is what clipping would have given (parameters.ts checks the ends
 * for it). And integers that are small floats need no limits before they are converted.
 */
import { MAGIC, MAGIC_BITS, scaled } from "./elements";
import { demand, elementsResult, listResult, outerOf } from "./memory";
import { put1, put4, put16 } from "./store";

/** First half of the way: that of elements.ts without clipping. */
// @ts-ignore: decorator
@inline
function unclipped<Q>(v: v128, base: v128, inv: v128): v128 {
  return scaled<Q, void>(v, base, base, base, inv);
}

/** Second half: i32x4. Whatever is negative in QA ends as 0, so rounding needs no sign there. */
// @ts-ignore: decorator
@inline
function whole<Q>(x: v128): v128 {
  const rounded = isSigned<Q>() ? f32x4.trunc(x) : f32x4.floor(x);
  return i32x4.sub(f32x4.add(rounded, f32x4.splat(MAGIC)), i32x4.splat(MAGIC_BITS));
}

/** `count` elements with the same parameters; order of the loop and tails as in elements.ts. */
export function runNear<Q>(from: usize, to: usize, count: usize, baseValue: f32, inverse: f32): void {
  const base = f32x4.splat(baseValue);
  const inv = f32x4.splat(inverse);
  if (count >= 16) {
    const last = count - 16;
    let a = unclipped<Q>(v128.load(from, 0, 1), base, inv);
    let b = unclipped<Q>(v128.load(from, 16, 1), base, inv);
    let c = unclipped<Q>(v128.load(from, 32, 1), base, inv);
    let d = unclipped<Q>(v128.load(from, 48, 1), base, inv);
    for (let i: usize = 0; ; ) {
      put16<Q>(to + i * sizeof<Q>(), whole<Q>(a), whole<Q>(b), whole<Q>(c), whole<Q>(d));
      if (i == last) return;
      i = min(i + 16, last);
      const at = from + (i << 2);
      a = unclipped<Q>(v128.load(at, 0, 1), base, inv);
      b = unclipped<Q>(v128.load(at, 16, 1), base, inv);
      c = unclipped<Q>(v128.load(at, 32, 1), base, inv);
      d = unclipped<Q>(v128.load(at, 48, 1), base, inv);
    }
  }
  for (let i: usize = 0; i + 4 <= count; i += 4)
    put4<Q>(to + i * sizeof<Q>(), whole<Q>(unclipped<Q>(v128.load(from + (i << 2), 0, 1), base, inv)));
  for (let i = count & ~3; i < count; i++)
    put1<Q>(to + i * sizeof<Q>(), whole<Q>(unclipped<Q>(v128.load32_splat(from + (i << 2), 0, 1), base, inv)));
}

/** All elements of [outer, channels, inner]; `base` 0: none. → list<Q> */
function convertNear<Q>(values: usize, count: usize, channels: u32, inner: u32, base: usize, inv: usize): usize {
  const outer = outerOf(count, channels, inner);
  const output = elementsResult(count * sizeof<Q>());
  const area = listResult(output, count);
  // One channel is one run, however it is laid out.
  const runs: usize = channels == 1 ? <usize>(count > 0) : outer * channels;
  const length = channels == 1 ? count : <usize>inner;
  let channel: usize = 0;
  for (let index: usize = 0; index < runs; index++) {
    const at = index * length;
    const list = channel << 2;
    const zero: f32 = base == 0 ? 0 : load<f32>(base + list);
    runNear<Q>(values + (at << 2), output + at * sizeof<Q>(), length, zero, load<f32>(inv + list));
    channel = channel + 1 == channels ? 0 : channel + 1;
  }
  return area;
}

/** QA of values near their range. → list<u8> */
export function asymnear(
  values: usize,
  count: usize,
  channels: u32,
  inner: u32,
  nmin: usize,
  nminCount: usize,
  inv: usize,
  invCount: usize,
): usize {
  demand(nminCount == channels && invCount == channels);
  return convertNear<u8>(values, count, channels, inner, nmin, inv);
}

/** QS of values near their range, limit 32767. → list<s16> */
export function symnear(values: usize, count: usize, channels: u32, inner: u32, inv: usize, invCount: usize): usize {
  demand(invCount == channels);
  return convertNear<i16>(values, count, channels, inner, 0, inv);
}
