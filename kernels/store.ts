/**
 * Vectors of integers, or of floats, to memory as elements of type O: u8, i8, i16, or f32.
 *
 * The integers are within O already. (Narrowing saturates, which only kernels/near.ts makes use of.)
 */

/** Stores sixteen elements. */
// @ts-ignore: decorator
@inline
export function put16<O>(to: usize, a: v128, b: v128, c: v128, d: v128): void {
  if (isFloat<O>()) {
    v128.store(to, a, 0, 1);
    v128.store(to, b, 16, 1);
    v128.store(to, c, 32, 1);
    v128.store(to, d, 48, 1);
    return;
  }
  const low = i16x8.narrow_i32x4_s(a, b);
  const high = i16x8.narrow_i32x4_s(c, d);
  if (sizeof<O>() == 2) {
    v128.store(to, low, 0, 1);
    v128.store(to, high, 16, 1);
  } else if (isSigned<O>()) {
    v128.store(to, i8x16.narrow_i16x8_s(low, high), 0, 1);
  } else {
    v128.store(to, i8x16.narrow_i16x8_u(low, high), 0, 1);
  }
}

/** Four of i32x4 as the first lanes of the narrower type. */
// @ts-ignore: decorator
@inline
function narrowed<O>(a: v128): v128 {
  const shorts = i16x8.narrow_i32x4_s(a, a);
  if (sizeof<O>() == 2) return shorts;
  return isSigned<O>() ? i8x16.narrow_i16x8_s(shorts, shorts) : i8x16.narrow_i16x8_u(shorts, shorts);
}

/** Stores four elements. */
// @ts-ignore: decorator
@inline
export function put4<O>(to: usize, a: v128): void {
  if (isFloat<O>()) v128.store(to, a, 0, 1);
  else if (sizeof<O>() == 2) v128.store64_lane(to, narrowed<O>(a), 0, 0, 1);
  else v128.store32_lane(to, narrowed<O>(a), 0, 0, 1);
}

/** Stores the first of four elements. */
// @ts-ignore: decorator
@inline
export function put1<O>(to: usize, a: v128): void {
  if (isFloat<O>()) v128.store32_lane(to, a, 0, 0, 1);
  else if (sizeof<O>() == 2) v128.store16_lane(to, narrowed<O>(a), 0, 0, 1);
  else v128.store8_lane(to, narrowed<O>(a), 0, 0, 1);
}
