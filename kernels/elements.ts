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
 * O = what is stored: u8, i8, i16, or f32 for the value that the integer stands for (fake quantization, §5.2);
 * C = void where limits of the integers do what clipping the values would do, bool where they do not.
 */
import { demand, elementsResult, listResult, outerOf, reserve } from "./memory";
import { byRows, repeatsOf, tiled } from "./rows";
import { put1, put4, put16 } from "./store";

/** The float below one half. */
export const ALMOST_HALF: f32 = 0.49999997;

/** MAGIC + n has the bits of MAGIC plus n, for integers |n| < 2^22: so a float becomes an integer in two instructions. */
export const MAGIC: f32 = 12582912;
export const MAGIC_BITS: i32 = 0x4b400000;

/**
 * First half of the way: four values clipped, scaled, and moved by one half, so that truncation rounds them. Subtraction,
 * product and sum are rounded operations each.
 */
// @ts-ignore: decorator
@inline
export function scaled<Q, C>(v: v128, low: v128, high: v128, base: v128, inv: v128): v128 {
  // pmax(v, low) is `v < low ? low : v`; pmin(d, high) is `d > high ? high : d`: NaN passes, zeros keep their sign.
  const clipped = isVoid<C>() ? v : f32x4.pmin(f32x4.pmax(v, low), high);
  if (isSigned<Q>()) {
    const x = f32x4.mul(clipped, inv);
    return f32x4.add(x, v128.or(v128.and(x, f32x4.splat(-0.0)), f32x4.splat(ALMOST_HALF)));
  }
  // Whatever is negative here ends as 0, so rounding needs no sign.
  return f32x4.add(f32x4.mul(f32x4.sub(clipped, base), inv), f32x4.splat(ALMOST_HALF));
}

/**
 * Second half: i32x4 (or, for O = f32, f32x4 of what the integers stand for) of four floats. The integers are 0..limit or ±limit.
 *
 * The rule truncates, saturates to int32, and then limits. Here values are limited first, while still floats: truncation is
 * monotone and leaves limits as they are, since they are whole, so the order does not matter. And truncating to a float is one
 * instruction where a conversion that saturates is ten.
 */
// @ts-ignore: decorator
@inline
function stored<Q, O>(x: v128, base: v128, scale: v128, limit: v128): v128 {
  let limited: v128;
  if (isSigned<Q>()) {
    const number = v128.and(x, f32x4.eq(x, x));
    limited = f32x4.pmin(f32x4.pmax(number, f32x4.neg(limit)), limit);
  } else {
    // `0 < NaN` is false, so NaN ends as 0.
    limited = f32x4.pmin(f32x4.pmax(f32x4.splat(0), x), limit);
  }
  const whole = f32x4.trunc(limited);
  if (!isFloat<O>()) return i32x4.sub(f32x4.add(whole, f32x4.splat(MAGIC)), i32x4.splat(MAGIC_BITS));
  // An integer has no -0.
  if (isSigned<Q>()) return f32x4.mul(f32x4.add(whole, f32x4.splat(0)), scale);
  return f32x4.add(f32x4.mul(whole, scale), base);
}

/** `count` elements with the same parameters. Inline, since a call costs channels of 27 values a tenth of their time. */
// @ts-ignore: decorator
@inline
function run<Q, O, C>(
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
    let a = scaled<Q, C>(v128.load(from, 0, 1), low, high, base, inv);
    let b = scaled<Q, C>(v128.load(from, 16, 1), low, high, base, inv);
    let c = scaled<Q, C>(v128.load(from, 32, 1), low, high, base, inv);
    let d = scaled<Q, C>(v128.load(from, 48, 1), low, high, base, inv);
    for (let i: usize = 0; ; ) {
      put16<O>(
        to + i * sizeof<O>(),
        stored<Q, O>(a, base, scale, limit),
        stored<Q, O>(b, base, scale, limit),
        stored<Q, O>(c, base, scale, limit),
        stored<Q, O>(d, base, scale, limit),
      );
      if (i == last) return;
      i = min(i + 16, last);
      const at = from + (i << 2);
      a = scaled<Q, C>(v128.load(at, 0, 1), low, high, base, inv);
      b = scaled<Q, C>(v128.load(at, 16, 1), low, high, base, inv);
      c = scaled<Q, C>(v128.load(at, 32, 1), low, high, base, inv);
      d = scaled<Q, C>(v128.load(at, 48, 1), low, high, base, inv);
    }
  }
  if (count >= 4) {
    const last = count - 4;
    for (let i: usize = 0; ; ) {
      const x = scaled<Q, C>(v128.load(from + (i << 2), 0, 1), low, high, base, inv);
      put4<O>(to + i * sizeof<O>(), stored<Q, O>(x, base, scale, limit));
      if (i == last) return;
      i = min(i + 4, last);
    }
  }
  for (let i: usize = 0; i < count; i++) {
    const x = scaled<Q, C>(v128.load32_splat(from + (i << 2), 0, 1), low, high, base, inv);
    put1<O>(to + i * sizeof<O>(), stored<Q, O>(x, base, scale, limit));
  }
}

/** QS0 into bytes within ±limit: `count` elements with the same parameters, whatever they are. */
export function runLimited(from: usize, to: usize, count: usize, inverse: f32, limit: i32): void {
  run<i16, i8, void>(from, to, count, 0, 0, 0, inverse, 0, f32x4.splat(<f32>limit));
}

/** First half for four elements at byte `at` of the parameter rows. */
// @ts-ignore: decorator
@inline
function scaledAt<Q, C>(from: usize, at: usize, low: usize, high: usize, base: usize, inv: usize): v128 {
  return scaled<Q, C>(
    v128.load(from + at, 0, 1),
    isVoid<C>() ? f32x4.splat(0) : v128.load(low + at, 0, 1),
    isVoid<C>() ? f32x4.splat(0) : v128.load(high + at, 0, 1),
    isSigned<Q>() ? f32x4.splat(0) : v128.load(base + at, 0, 1),
    v128.load(inv + at, 0, 1),
  );
}

/** Second half for these. */
// @ts-ignore: decorator
@inline
function storedAt<Q, O>(x: v128, at: usize, base: usize, scale: usize, limit: v128): v128 {
  return stored<Q, O>(
    x,
    isSigned<Q>() || !isFloat<O>() ? limit : v128.load(base + at, 0, 1),
    isFloat<O>() ? v128.load(scale + at, 0, 1) : limit,
    limit,
  );
}

/** `count` elements, each with its own parameters. */
function row<Q, O, C>(
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
    let a = scaledAt<Q, C>(from, 0, low, high, base, inv);
    let b = scaledAt<Q, C>(from, 16, low, high, base, inv);
    let c = scaledAt<Q, C>(from, 32, low, high, base, inv);
    let d = scaledAt<Q, C>(from, 48, low, high, base, inv);
    for (let i: usize = 0; ; ) {
      const done = i << 2;
      put16<O>(
        to + i * sizeof<O>(),
        storedAt<Q, O>(a, done, base, scale, limit),
        storedAt<Q, O>(b, done + 16, base, scale, limit),
        storedAt<Q, O>(c, done + 32, base, scale, limit),
        storedAt<Q, O>(d, done + 48, base, scale, limit),
      );
      if (i == last) return;
      i = min(i + 16, last);
      const at = i << 2;
      a = scaledAt<Q, C>(from, at, low, high, base, inv);
      b = scaledAt<Q, C>(from, at + 16, low, high, base, inv);
      c = scaledAt<Q, C>(from, at + 32, low, high, base, inv);
      d = scaledAt<Q, C>(from, at + 48, low, high, base, inv);
    }
  }
  for (let i: usize = 0; i < count; i++) {
    const at = i << 2;
    const x = scaled<Q, C>(
      v128.load32_splat(from + at, 0, 1),
      isVoid<C>() ? limit : v128.load32_splat(low + at, 0, 1),
      isVoid<C>() ? limit : v128.load32_splat(high + at, 0, 1),
      isSigned<Q>() ? limit : v128.load32_splat(base + at, 0, 1),
      v128.load32_splat(inv + at, 0, 1),
    );
    const result = stored<Q, O>(
      x,
      isSigned<Q>() || !isFloat<O>() ? limit : v128.load32_splat(base + at, 0, 1),
      isFloat<O>() ? v128.load32_splat(scale + at, 0, 1) : limit,
      limit,
    );
    put1<O>(to + i * sizeof<O>(), result);
  }
}

/**
 * Whether limits do what clipping would do: the ends of the range become the ends of the integers, and the rule is monotone, so
 * what lies outside becomes them too. (What is not a number becomes 0 either way.) Ordinary parameters are like that.
 */
function limitsClip<Q>(
  channels: usize,
  low: usize,
  high: usize,
  clipStep: usize,
  base: usize,
  baseStep: usize,
  inv: usize,
  largest: f32,
): bool {
  for (let c: usize = 0; c < channels; c++) {
    const scale = load<f32>(inv + (c << 2));
    const zero: f32 = isSigned<Q>() ? 0 : load<f32>(base + c * baseStep);
    const first = (load<f32>(low + c * clipStep) - zero) * scale;
    const last = (load<f32>(high + c * clipStep) - zero) * scale;
    // Comparisons with NaN are false.
    const begins = isSigned<Q>() ? first - ALMOST_HALF <= -largest : first + ALMOST_HALF < 1;
    if (!(scale > 0 && largest > 0 && begins && last + ALMOST_HALF >= largest)) return false;
  }
  return true;
}

/**
 * All elements of [outer, channels, inner]. Parameters are pointers to one value per channel and the bytes from one to
 * the next: 4 for a list, 0 for a value that all channels share. `largest`: the integers are 0..largest or ±largest.
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
  demand(largest >= 0 && largest <= (!isSigned<Q>() ? 255 : sizeof<O>() == 1 ? 127 : 32767));
  const outer = outerOf(count, channels, inner);
  const output = elementsResult(count * sizeof<O>());
  const area = listResult(output, count);
  const limit = f32x4.splat(<f32>largest);
  const clips = !limitsClip<Q>(channels, low, high, clipStep, base, baseStep, inv, <f32>largest);
  if (byRows(outer, channels, inner)) {
    const repeats = repeatsOf(outer, channels, inner);
    const period = <usize>channels * inner * repeats;
    const lows = clips ? tiled(low, clipStep, channels, inner, repeats) : 0;
    const highs = clips ? tiled(high, clipStep, channels, inner, repeats) : 0;
    const bases = isSigned<Q>() ? 0 : clips && low == base ? lows : tiled(base, baseStep, channels, inner, repeats);
    const inverses = tiled(inv, 4, channels, inner, repeats);
    const scales = isFloat<O>() ? tiled(scale, 4, channels, inner, repeats) : 0;
    for (let at: usize = 0; at < count; at += period) {
      const from = values + (at << 2);
      const to = output + at * sizeof<O>();
      const part = min(period, count - at);
      if (clips) row<Q, O, bool>(from, to, part, lows, highs, bases, inverses, scales, limit);
      else row<Q, O, void>(from, to, part, lows, highs, bases, inverses, scales, limit);
    }
    return area;
  }
  // One channel is one run, however it is laid out.
  const length = channels == 1 ? count : <usize>inner;
  let channel: usize = 0;
  for (let at: usize = 0; at < count; at += length) {
    const from = values + (at << 2);
    const to = output + at * sizeof<O>();
    const lowest = load<f32>(low + channel * clipStep);
    const highest = load<f32>(high + channel * clipStep);
    const zero = load<f32>(base + channel * baseStep);
    const inverse = load<f32>(inv + (channel << 2));
    const step: f32 = isFloat<O>() ? load<f32>(scale + (channel << 2)) : 0;
    if (clips) run<Q, O, bool>(from, to, length, lowest, highest, zero, inverse, step, limit);
    else run<Q, O, void>(from, to, length, lowest, highest, zero, inverse, step, limit);
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
