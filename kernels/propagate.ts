/**
 * QP of reference §3.4: round(f64(v) * f64(inv)) + zero point, all in float64. One scale for all elements.
 *
 * float64 holds a product of two floats exactly. The float32 product, which is rounded, is on the same side of every tie (n + 1/2)
 * or is a tie: ties are floats, and rounding to floats is monotone, so it moves a product onto a tie at most, never past it.
 * Hence blocks are computed in float32, where it does not matter how ties are rounded: blocks that have one are done
 * once more in float64. From 2^23 on there are no ties, but what is that large ends at the limits.
 */
import { MAGIC_BITS, MAGIC as MAGIC_FLOAT } from "./elements";
import { elementsResult, listResult } from "./memory";
import { put1, put4, put16 } from "./store";

/** The double below one half; see elements.ts for why this rounds like C's round. */
const ALMOST_HALF: f64 = 0.49999999999999994;

/** MAGIC + n has n in its low 32 bits, for all n of int32. */
const MAGIC: f64 = 6755399441055744;

/** With zero points within ±this sums are small integers up to the limits, so that float32 holds them. */
const ORDINARY: i32 = 1 << 20;

/** In float64, two floats in the low lanes: doubles whose low words are the integers, 0..limit or ±limit. */
// @ts-ignore: decorator
@inline
function exactPair<O>(v: v128, inv: v128, zeroPoint: v128, limit: v128): v128 {
  const x = f64x2.mul(f64x2.promote_low_f32x4(v), inv);
  const half = v128.or(v128.and(x, f64x2.splat(-0.0)), f64x2.splat(ALMOST_HALF));
  const sum = f64x2.add(f64x2.trunc(f64x2.add(x, half)), zeroPoint);
  // Limits are applied before the conversion, as in elements.ts: sums are whole numbers already, infinite or NaN.
  if (isSigned<O>()) {
    const number = v128.and(sum, f64x2.eq(sum, sum));
    return f64x2.add(f64x2.pmin(f64x2.pmax(number, f64x2.neg(limit)), limit), f64x2.splat(MAGIC));
  }
  // `0 < NaN` is false, so NaN ends as 0.
  return f64x2.add(f64x2.pmin(f64x2.pmax(f64x2.splat(0), sum), limit), f64x2.splat(MAGIC));
}

/** In float64, `count` elements. */
function exactRun<O>(from: usize, to: usize, count: usize, inverse: f32, zeroPointInteger: i32, largest: i32): void {
  const inv = f64x2.splat(<f64>inverse);
  const zeroPoint = f64x2.splat(<f64>(<f32>zeroPointInteger));
  const limit = f64x2.splat(<f64>largest);
  let i: usize = 0;
  for (; i + 4 <= count; i += 4) {
    const low = exactPair<O>(v128.load64_splat(from + (i << 2), 0, 1), inv, zeroPoint, limit);
    const high = exactPair<O>(v128.load64_splat(from + (i << 2), 8, 1), inv, zeroPoint, limit);
    put4<O>(to + i * sizeof<O>(), v128.shuffle<i32>(low, high, 0, 2, 4, 6));
  }
  for (; i < count; i++) {
    const pair = exactPair<O>(v128.load32_splat(from + (i << 2), 0, 1), inv, zeroPoint, limit);
    put1<O>(to + i * sizeof<O>(), pair);
  }
}

/** `low < NaN` is false, so NaN is at the lower limit from here on. */
// @ts-ignore: decorator
@inline
function limited(product: v128, low: v128, high: v128): v128 {
  return f32x4.pmin(f32x4.pmax(low, product), high);
}

/** How far rounding moved x to reach `sum`, which is x + magic; 0.5 for ties. */
// @ts-ignore: decorator
@inline
function moved(x: v128, sum: v128, magic: v128): v128 {
  return f32x4.abs(f32x4.sub(x, f32x4.sub(sum, magic)));
}

/** Integers of sums with MAGIC; for the signed type, NaN is at a limit that is not 0. */
// @ts-ignore: decorator
@inline
function stored<O>(sum: v128, product: v128): v128 {
  const integers = i32x4.sub(sum, i32x4.splat(MAGIC_BITS));
  return isSigned<O>() ? v128.and(integers, f32x4.eq(product, product)) : integers;
}

/**
 * In float32, 16 elements at least, with an ordinary zero point, which is added together with MAGIC: limits are less by
 * it. The last block is moved back as in elements.ts.
 */
function run<O>(from: usize, to: usize, count: usize, inverse: f32, zeroPoint: i32, largest: i32): void {
  const inv = f32x4.splat(inverse);
  const least: i32 = isSigned<O>() ? -largest : 0;
  const low = f32x4.splat(<f32>(least - zeroPoint));
  const high = f32x4.splat(<f32>(largest - zeroPoint));
  const magic = f32x4.splat(MAGIC_FLOAT + <f32>zeroPoint);
  const tie = f32x4.splat(0.5);
  const last = count - 16;
  for (let i: usize = 0; ; ) {
    const at = from + (i << 2);
    const product0 = f32x4.mul(v128.load(at, 0, 1), inv);
    const product1 = f32x4.mul(v128.load(at, 16, 1), inv);
    const product2 = f32x4.mul(v128.load(at, 32, 1), inv);
    const product3 = f32x4.mul(v128.load(at, 48, 1), inv);
    const x0 = limited(product0, low, high);
    const x1 = limited(product1, low, high);
    const x2 = limited(product2, low, high);
    const x3 = limited(product3, low, high);
    const sum0 = f32x4.add(x0, magic);
    const sum1 = f32x4.add(x1, magic);
    const sum2 = f32x4.add(x2, magic);
    const sum3 = f32x4.add(x3, magic);
    const farthest = f32x4.pmax(
      f32x4.pmax(moved(x0, sum0, magic), moved(x1, sum1, magic)),
      f32x4.pmax(moved(x2, sum2, magic), moved(x3, sum3, magic)),
    );
    if (v128.any_true(f32x4.eq(farthest, tie))) {
      exactRun<O>(at, to + i * sizeof<O>(), 16, inverse, zeroPoint, largest);
    } else {
      put16<O>(
        to + i * sizeof<O>(),
        stored<O>(sum0, product0),
        stored<O>(sum1, product1),
        stored<O>(sum2, product2),
        stored<O>(sum3, product3),
      );
    }
    if (i == last) return;
    i = min(i + 16, last);
  }
}

/** → list<O> of integers 0..largest or ±largest */
function propagate<O>(values: usize, count: usize, inv: f32, zeroPoint: i32, largest: i32): usize {
  const output = elementsResult(count * sizeof<O>());
  const area = listResult(output, count);
  if (count >= 16 && zeroPoint <= ORDINARY && zeroPoint >= -ORDINARY) {
    run<O>(values, output, count, inv, zeroPoint, largest);
  } else {
    exactRun<O>(values, output, count, inv, zeroPoint, largest);
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
