/** QP of reference §3.4: round(f64(v) * f64(inv)) + zero point, all in float64. One scale for all elements. */
import { listResult, reserve } from "./memory";
import { put1, put8 } from "./store";

/** The double below one half; see elements.ts for why this rounds like C's round. */
const ALMOST_HALF: f64 = 0.49999999999999994;

/** MAGIC + n has n in its low 32 bits, for all n of int32. */
const MAGIC: f64 = 6755399441055744;

/** First half of the way, of two floats in the low lanes: scaled, and moved by one half, so that truncation rounds them. */
// @ts-ignore: decorator
@inline
function scaled(v: v128, inv: v128): v128 {
  const x = f64x2.mul(f64x2.promote_low_f32x4(v), inv);
  return f64x2.add(x, v128.or(v128.and(x, f64x2.splat(-0.0)), f64x2.splat(ALMOST_HALF)));
}

/** The same for two at `from`. */
// @ts-ignore: decorator
@inline
function scaledPair(from: usize, inv: v128): v128 {
  return scaled(v128.load64_zero(from, 0, 1), inv);
}

/**
 * Second half: doubles whose low words are the integers, 0..limit or ±limit.
 *
 * Limits are applied before the conversion, as in elements.ts: sums are whole numbers already, infinite or NaN.
 */
// @ts-ignore: decorator
@inline
function limited<O>(x: v128, zeroPoint: v128, limit: v128): v128 {
  const sum = f64x2.add(f64x2.trunc(x), zeroPoint);
  if (isSigned<O>()) {
    const number = v128.and(sum, f64x2.eq(sum, sum));
    return f64x2.add(f64x2.pmin(f64x2.pmax(number, f64x2.neg(limit)), limit), f64x2.splat(MAGIC));
  }
  // `0 < NaN` is false, so NaN ends as 0.
  return f64x2.add(f64x2.pmin(f64x2.pmax(f64x2.splat(0), sum), limit), f64x2.splat(MAGIC));
}

/** The second half of two pairs as i32x4. */
// @ts-ignore: decorator
@inline
function stored<O>(a: v128, b: v128, zeroPoint: v128, limit: v128): v128 {
  return v128.shuffle<i32>(limited<O>(a, zeroPoint, limit), limited<O>(b, zeroPoint, limit), 0, 2, 4, 6);
}

/** → list<O> of integers 0..largest or ±largest */
function propagate<O>(values: usize, count: usize, inverse: f32, zeroPointInteger: i32, largest: f64): usize {
  const output = reserve(count * sizeof<O>());
  const area = listResult(output, count);
  const inv = f64x2.splat(<f64>inverse);
  const zeroPoint = f64x2.splat(<f64>(<f32>zeroPointInteger));
  const limit = f64x2.splat(largest);
  let i: usize = 0;
  if (count >= 8) {
    const last = count - 8;
    let a = scaledPair(values, inv);
    let b = scaledPair(values + 8, inv);
    let c = scaledPair(values + 16, inv);
    let d = scaledPair(values + 24, inv);
    for (;;) {
      put8<O>(output + i * sizeof<O>(), stored<O>(a, b, zeroPoint, limit), stored<O>(c, d, zeroPoint, limit));
      if (i == last) return area;
      i = min(i + 8, last);
      const at = values + (i << 2);
      a = scaledPair(at, inv);
      b = scaledPair(at + 8, inv);
      c = scaledPair(at + 16, inv);
      d = scaledPair(at + 24, inv);
    }
  }
  for (; i < count; i++) {
    const x = scaled(v128.load32_zero(values + (i << 2), 0, 1), inv);
    put1<O>(output + i * sizeof<O>(), limited<O>(x, zeroPoint, limit));
  }
  return area;
}

/** QP within 0..255. → list<u8> */
export function propagatebyte(values: usize, count: usize, inv: f32, zeroPoint: i32): usize {
  return propagate<u8>(values, count, inv, zeroPoint, 255);
}

/** QP within ±32767. → list<s16> */
export function propagateshort(values: usize, count: usize, inv: f32, zeroPoint: i32): usize {
  return propagate<i16>(values, count, inv, zeroPoint, 32767);
}
