/** QP of reference §3.4: round(f64(v) * f64(inv)) + zero point, all in float64. One scale for all elements. */
import { listResult, reserve } from "./memory";
import { put1, put4, put16 } from "./store";

/** The double below one half; see elements.ts for why this rounds like C's round. */
const ALMOST_HALF: f64 = 0.49999999999999994;

/** MAGIC + n has n in its low 32 bits, for all n of int32. */
const MAGIC: f64 = 6755399441055744;

/**
 * QP of two floats in the low lanes: doubles whose low words are the integers, 0..limit or ±limit.
 *
 * Limits are applied before the conversion, as in elements.ts: sums are whole numbers already, infinite or NaN.
 */
// @ts-ignore: decorator
@inline
function propagatedPair<O>(v: v128, inv: v128, zeroPoint: v128, limit: v128): v128 {
  const x = f64x2.mul(f64x2.promote_low_f32x4(v), inv);
  const half = v128.or(v128.and(x, f64x2.splat(-0.0)), f64x2.splat(ALMOST_HALF));
  const sum = f64x2.add(f64x2.trunc(f64x2.add(x, half)), zeroPoint);
  let limited: v128;
  if (isSigned<O>()) {
    const number = v128.and(sum, f64x2.eq(sum, sum));
    limited = f64x2.pmin(f64x2.pmax(number, f64x2.neg(limit)), limit);
  } else {
    // `0 < NaN` is false, so NaN ends as 0.
    limited = f64x2.pmin(f64x2.pmax(f64x2.splat(0), sum), limit);
  }
  return f64x2.add(limited, f64x2.splat(MAGIC));
}

/** Four floats at `from` as i32x4. */
// @ts-ignore: decorator
@inline
function propagated<O>(from: usize, inv: v128, zeroPoint: v128, limit: v128): v128 {
  const low = propagatedPair<O>(v128.load64_zero(from, 0, 1), inv, zeroPoint, limit);
  const high = propagatedPair<O>(v128.load64_zero(from, 8, 1), inv, zeroPoint, limit);
  return v128.shuffle<i32>(low, high, 0, 2, 4, 6);
}

/** → list<O> of integers 0..largest or ±largest */
function propagate<O>(values: usize, count: usize, inverse: f32, zeroPointInteger: i32, largest: f64): usize {
  const output = reserve(count * sizeof<O>());
  const area = listResult(output, count);
  const inv = f64x2.splat(<f64>inverse);
  const zeroPoint = f64x2.splat(<f64>(<f32>zeroPointInteger));
  const limit = f64x2.splat(largest);
  let i: usize = 0;
  for (; i + 16 <= count; i += 16) {
    const from = values + (i << 2);
    put16<O>(
      output + i * sizeof<O>(),
      propagated<O>(from, inv, zeroPoint, limit),
      propagated<O>(from + 16, inv, zeroPoint, limit),
      propagated<O>(from + 32, inv, zeroPoint, limit),
      propagated<O>(from + 48, inv, zeroPoint, limit),
    );
  }
  for (; i + 4 <= count; i += 4)
    put4<O>(output + i * sizeof<O>(), propagated<O>(values + (i << 2), inv, zeroPoint, limit));
  for (; i < count; i++) {
    const pair = propagatedPair<O>(v128.load32_zero(values + (i << 2), 0, 1), inv, zeroPoint, limit);
    put1<O>(output + i * sizeof<O>(), pair);
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
