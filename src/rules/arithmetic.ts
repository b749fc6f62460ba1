/**
 * Scales, zero points and rounding: one function a rule, with the float width of the reference at each step (§3).
 *
 * The kernels do the same arithmetic on whole tensors; the tests hold both against one naive oracle.
 */
const f32 = Math.fround;

/** float32's largest finite number. */
export const FLT_MAX = 3.4028234663852886e38;

export interface ScaleAndZeroPoint {
  /** f32. */
  readonly scale: number;
  readonly zeroPoint: number;
  /** The range that the integers can represent, f32; −0 when the zero point is 0 (§10.1). */
  readonly nudgedMin: number;
  readonly nudgedMax: number;
}

/**
 * Nearest integer, ties away from zero (C `round`), for f64 values. `Math.round` and `floor(x + 0.5)` are both wrong
 * (−2.5, 0.49999999999999994): truncate, then look at the exact remainder.
 */
export function roundHalfAway(x: number): number {
  const whole = Math.trunc(x);
  return Math.abs(x - whole) >= 0.5 ? whole + Math.sign(x) : whole;
}

/**
 * Asymmetric parameters of a range (f32, min ≤ max) for integers 0..levels, §3.2. The range is widened to contain 0. No scale is
 * below `smallest`.
 */
export function asymmetric(min: number, max: number, levels: number, smallest: number): ScaleAndZeroPoint {
  const low = Math.min(0, min);
  const high = Math.max(0, max);
  let scale = (high - low) / levels;
  let zeroPoint: number;
  if (min >= 0) {
    zeroPoint = 0;
    scale = max / levels;
  } else if (max < 0) {
    zeroPoint = levels;
    scale = -min / levels;
  } else {
    zeroPoint = f32(roundHalfAway(0 - low / scale));
  }
  if (scale < smallest) {
    scale = smallest;
    zeroPoint = f32(roundHalfAway(0 - low / smallest));
  }
  return {
    scale: f32(scale),
    // round(0.0 − 0.0) is +0, but an expression of −0 must not reach a zero point.
    zeroPoint: zeroPoint + 0,
    // In f64 with the f64 scale, not the stored f32 one.
    nudgedMin: f32(-zeroPoint * scale),
    nudgedMax: f32((levels - zeroPoint) * scale),
  };
}

/** Symmetric parameters of a range (f32) for integers −limit..limit, §3.3. No scale is below `smallest`. */
export function symmetric(min: number, max: number, limit: number, smallest: number): ScaleAndZeroPoint {
  const low = Math.min(0, min);
  const high = Math.max(0, max);
  const fromMin = low < 0 ? low / -limit : 0;
  const fromMax = high > 0 ? high / limit : 0;
  const scale = Math.max(f32(Math.max(fromMin, fromMax)), f32(smallest));
  // Here the rounded f32 scale is used.
  return { scale, zeroPoint: 0, nudgedMin: f32(-limit * scale), nudgedMax: f32(limit * scale) };
}

/** f32(1/scale), the division in f64: the factor of every element kernel (§3.4). */
export function inverse(scale: number): number {
  return f32(1 / scale);
}

/** The integer scale of FLOOR and its kin (§3.8), f32. */
export function integerScale(scale: number): number {
  return scale < 1 ? 1 : f32(roundHalfAway(scale));
}
