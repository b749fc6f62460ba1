/**
 * One element's way from float to integer (reference §3.4) and the loops that bring all elements there.
 *
 * Rounding is C's roundf (ties away from zero). `trunc(x + copysign(h, x))` with h = 0.49999997 (the float below one
 * half) is exactly that for every float: below 2^23 the sum either stays under the next integer or, from a fraction of
 * one half on, reaches it (1 - 2^-25 is a tie that goes to the even 1.0); from 2^23 on the sum rounds back to x.
 * (x + 0.5 would be wrong at 0.49999997, `nearest` at 0.5 and 2.5.) The tests try all 2^32 floats on demand.
 *
 * Conversions saturate and NaN becomes 0, so results never depend on the processor.
 *
 * Tails do not have code of their own: the last block is moved back so that it ends with the data and writes some
 * elements twice, the same both times. Shorter data goes by four, and below four by one, through the same vector code.
 *
 * Type parameters: Q = u8 for the asymmetric rules (QA, QA0), i16 for the symmetric ones (QS, QS0);
 * O = what is stored: u8, i8, i16, or f32 for the value that the integer stands for (fake quantization, §5.2).
 */
import { demand, listResult, outerOf, reserve } from "./memory";

/** Row-wise work repeats the channels' parameters until a row has this many elements; long rows have few tails. */
const SHORTEST_ROW: usize = 256;
/** Channels whose contiguous part is shorter than this are done row by row. */
const SHORT_INNER: u32 = 16;
/** The float below one half. */
export const ALMOST_HALF: f32 = 0.49999997;

/** i32x4 (or, for O = f32, f32x4) of four floats. Subtraction and product are two rounded operations. */
// @ts-ignore: decorator
@inline
function quantized<Q, O>(v: v128, low: v128, high: v128, base: v128, inv: v128, scale: v128, limit: v128): v128 {
  // pmax(v, low) is `v < low ? low : v`; pmin(d, high) is `d > high ? high : d`: NaN passes, zeros keep their sign.
  const clipped = f32x4.pmin(f32x4.pmax(v, low), high);
  let integers: v128;
  if (isSigned<Q>()) {
    const x = f32x4.mul(clipped, inv);
    const half = v128.or(v128.and(x, f32x4.splat(-0.0)), f32x4.splat(ALMOST_HALF));
    integers = i32x4.trunc_sat_f32x4_s(f32x4.add(x, half));
  } else {
    // Whatever is negative here ends as 0 by the clamp, so rounding needs no sign.
    const x = f32x4.mul(f32x4.sub(clipped, base), inv);
    integers = i32x4.trunc_sat_f32x4_s(f32x4.add(x, f32x4.splat(ALMOST_HALF)));
  }
  if (!isFloat<O>()) return integers;
  if (isSigned<Q>()) {
    const limited = i32x4.max_s(i32x4.min_s(integers, limit), i32x4.neg(limit));
    return f32x4.mul(f32x4.convert_i32x4_s(limited), scale);
  }
  const limited = i32x4.max_s(i32x4.min_s(integers, i32x4.splat(255)), i32x4.splat(0));
  return f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(limited), scale), base);
}

/**
 * Eight of i32x4 as i16x8 within ±limit (limit is i32x4; its halves are the same as i16x8 after narrowing).
 * `inside`: they are within the limit already.
 */
// @ts-ignore: decorator
@inline
function shorts<O>(a: v128, b: v128, limit: v128, inside: bool): v128 {
  const narrow = i16x8.narrow_i32x4_s(a, b);
  if (!isSigned<O>() || inside) return narrow;
  const most = i16x8.narrow_i32x4_s(limit, limit);
  return i16x8.max_s(i16x8.min_s(narrow, most), i16x8.neg(most));
}

/** Stores sixteen elements. Narrowing saturates: 0..255 for u8, and ±limit is inside of the signed types. */
// @ts-ignore: decorator
@inline
export function store16<O>(to: usize, a: v128, b: v128, c: v128, d: v128, limit: v128, inside: bool): void {
  if (isFloat<O>()) {
    v128.store(to, a, 0, 1);
    v128.store(to, b, 16, 1);
    v128.store(to, c, 32, 1);
    v128.store(to, d, 48, 1);
    return;
  }
  const low = shorts<O>(a, b, limit, inside);
  const high = shorts<O>(c, d, limit, inside);
  if (sizeof<O>() == 2) {
    v128.store(to, low, 0, 1);
    v128.store(to, high, 16, 1);
  } else if (isSigned<O>()) {
    v128.store(to, i8x16.narrow_i16x8_s(low, high), 0, 1);
  } else {
    v128.store(to, i8x16.narrow_i16x8_u(low, high), 0, 1);
  }
}

/** Stores four elements. */
// @ts-ignore: decorator
@inline
export function store4<O>(to: usize, a: v128, limit: v128): void {
  if (isFloat<O>()) {
    v128.store(to, a, 0, 1);
    return;
  }
  const narrow = shorts<O>(a, a, limit, false);
  if (sizeof<O>() == 2) {
    v128.store64_lane(to, narrow, 0, 0, 1);
  } else if (isSigned<O>()) {
    v128.store32_lane(to, i8x16.narrow_i16x8_s(narrow, narrow), 0, 0, 1);
  } else {
    v128.store32_lane(to, i8x16.narrow_i16x8_u(narrow, narrow), 0, 0, 1);
  }
}

/** Stores the first of four elements. */
// @ts-ignore: decorator
@inline
export function store1<O>(to: usize, a: v128, limit: v128): void {
  if (isFloat<O>()) {
    v128.store32_lane(to, a, 0, 0, 1);
    return;
  }
  const narrow = shorts<O>(a, a, limit, false);
  if (sizeof<O>() == 2) {
    v128.store16_lane(to, narrow, 0, 0, 1);
  } else if (isSigned<O>()) {
    v128.store8_lane(to, i8x16.narrow_i16x8_s(narrow, narrow), 0, 0, 1);
  } else {
    v128.store8_lane(to, i8x16.narrow_i16x8_u(narrow, narrow), 0, 0, 1);
  }
}

/** `count` elements with the same parameters. */
function run<Q, O>(
  from: usize,
  to: usize,
  count: usize,
  lowest: f32,
  highest: f32,
  baseValue: f32,
  inverse: f32,
  step: f32,
  limit: v128,
): void {
  const low = f32x4.splat(lowest);
  const high = f32x4.splat(highest);
  const base = f32x4.splat(baseValue);
  const inv = f32x4.splat(inverse);
  const scale = f32x4.splat(step);
  if (count >= 16) {
    const last = count - 16;
    for (let i: usize = 0; ; ) {
      const at = from + (i << 2);
      store16<O>(
        to + i * sizeof<O>(),
        quantized<Q, O>(v128.load(at, 0, 1), low, high, base, inv, scale, limit),
        quantized<Q, O>(v128.load(at, 16, 1), low, high, base, inv, scale, limit),
        quantized<Q, O>(v128.load(at, 32, 1), low, high, base, inv, scale, limit),
        quantized<Q, O>(v128.load(at, 48, 1), low, high, base, inv, scale, limit),
        limit,
        false,
      );
      if (i == last) return;
      i = min(i + 16, last);
    }
  }
  if (count >= 4) {
    const last = count - 4;
    for (let i: usize = 0; ; ) {
      const v = v128.load(from + (i << 2), 0, 1);
      store4<O>(to + i * sizeof<O>(), quantized<Q, O>(v, low, high, base, inv, scale, limit), limit);
      if (i == last) return;
      i = min(i + 4, last);
    }
  }
  for (let i: usize = 0; i < count; i++) {
    const v = v128.load32_splat(from + (i << 2), 0, 1);
    store1<O>(to + i * sizeof<O>(), quantized<Q, O>(v, low, high, base, inv, scale, limit), limit);
  }
}

/** Four elements with their own parameters at byte `at` of the parameter rows. */
// @ts-ignore: decorator
@inline
function quantizedAt<Q, O>(
  from: usize,
  at: usize,
  low: usize,
  high: usize,
  base: usize,
  inv: usize,
  scale: usize,
  limit: v128,
): v128 {
  return quantized<Q, O>(
    v128.load(from + at, 0, 1),
    v128.load(low + at, 0, 1),
    v128.load(high + at, 0, 1),
    isSigned<Q>() ? limit : v128.load(base + at, 0, 1),
    v128.load(inv + at, 0, 1),
    isFloat<O>() ? v128.load(scale + at, 0, 1) : limit,
    limit,
  );
}

/** `count` elements, each with its own parameters. */
function row<Q, O>(
  from: usize,
  to: usize,
  count: usize,
  low: usize,
  high: usize,
  base: usize,
  inv: usize,
  scale: usize,
  limit: v128,
): void {
  if (count >= 16) {
    const last = count - 16;
    for (let i: usize = 0; ; ) {
      const at = i << 2;
      store16<O>(
        to + i * sizeof<O>(),
        quantizedAt<Q, O>(from, at, low, high, base, inv, scale, limit),
        quantizedAt<Q, O>(from, at + 16, low, high, base, inv, scale, limit),
        quantizedAt<Q, O>(from, at + 32, low, high, base, inv, scale, limit),
        quantizedAt<Q, O>(from, at + 48, low, high, base, inv, scale, limit),
        limit,
        false,
      );
      if (i == last) return;
      i = min(i + 16, last);
    }
  }
  for (let i: usize = 0; i < count; i++) {
    const at = i << 2;
    const result = quantized<Q, O>(
      v128.load32_splat(from + at, 0, 1),
      v128.load32_splat(low + at, 0, 1),
      v128.load32_splat(high + at, 0, 1),
      isSigned<Q>() ? limit : v128.load32_splat(base + at, 0, 1),
      v128.load32_splat(inv + at, 0, 1),
      isFloat<O>() ? v128.load32_splat(scale + at, 0, 1) : limit,
      limit,
    );
    store1<O>(to + i * sizeof<O>(), result, limit);
  }
}

/** A list with one value a channel as a list with one value an element of `repeat` rows. */
function tiled(list: usize, step: usize, channels: usize, inner: usize, repeat: usize): usize {
  if (step != 0 && inner == 1 && repeat == 1) return list;
  const pointer = reserve((channels * inner * repeat) << 2);
  let at = pointer;
  for (let r: usize = 0; r < repeat; r++) {
    for (let c: usize = 0; c < channels; c++) {
      const value = load<f32>(list + c * step);
      for (let i: usize = 0; i < inner; i++) {
        store<f32>(at, value);
        at += 4;
      }
    }
  }
  return pointer;
}

/**
 * All elements of [outer, channels, inner]. Parameters are pointers to one value a channel and the bytes from one to
 * the next: 4 for a list, 0 for a value that all channels share. `limit`: largest integer of the symmetric rules.
 * → list<O>
 */
export function convert<Q, O>(
  values: usize,
  count: usize,
  channels: u32,
  inner: u32,
  low: usize,
  high: usize,
  clipStep: usize,
  base: usize,
  baseStep: usize,
  inv: usize,
  scale: usize,
  largest: i32,
): usize {
  demand(largest >= 0 && largest <= (sizeof<O>() == 1 && isSigned<O>() ? 127 : 32767));
  const outer = outerOf(count, channels, inner);
  const output = reserve(count * sizeof<O>());
  const area = listResult(output, count);
  const limit = i32x4.splat(largest);
  if (channels > 1 && inner < SHORT_INNER && (inner == 1 || outer > 4)) {
    const rowLength = <usize>channels * inner;
    const repeat = max<usize>(1, min((SHORTEST_ROW + rowLength - 1) / rowLength, outer));
    const period = rowLength * repeat;
    const lows = tiled(low, clipStep, channels, inner, repeat);
    const highs = tiled(high, clipStep, channels, inner, repeat);
    const bases = low == base ? lows : tiled(base, baseStep, channels, inner, repeat);
    const inverses = tiled(inv, 4, channels, inner, repeat);
    const scales = isFloat<O>() ? tiled(scale, 4, channels, inner, repeat) : 0;
    for (let at: usize = 0; at < count; at += period) {
      const part = min(period, count - at);
      row<Q, O>(values + (at << 2), output + at * sizeof<O>(), part, lows, highs, bases, inverses, scales, limit);
    }
    return area;
  }
  // One channel is one run, however it is laid out.
  const runs: usize = channels == 1 ? <usize>(count > 0) : outer * channels;
  const length = channels == 1 ? count : <usize>inner;
  let channel: usize = 0;
  for (let index: usize = 0; index < runs; index++) {
    const at = index * length;
    run<Q, O>(
      values + (at << 2),
      output + at * sizeof<O>(),
      length,
      load<f32>(low + channel * clipStep),
      load<f32>(high + channel * clipStep),
      load<f32>(base + channel * baseStep),
      load<f32>(inv + (channel << 2)),
      isFloat<O>() ? load<f32>(scale + (channel << 2)) : 0,
      limit,
    );
    channel = channel + 1 == channels ? 0 : channel + 1;
  }
  return area;
}

/** Pointer to -inf, +inf: bounds that clip nothing. */
export function unbounded(): usize {
  const pointer = reserve(8);
  store<f32>(pointer, -f32.POSITIVE_INFINITY);
  store<f32>(pointer, f32.POSITIVE_INFINITY, 4);
  return pointer;
}
