/**
 * Scales, zero points and rounding: one function a rule, with the float width of the reference at each step (§3).
 *
 * The kernels do the same arithmetic on whole tensors; the tests hold both against one naive oracle.
 */
const f32 = Math.fround;

/** 8-bit asymmetric: quantized values 0..255. */
export const UINT8_LEVELS = 255;
/** 16-bit symmetric: quantized values -32767..32767. */
export const INT16_LIMIT = 32767;

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

/** Asymmetric uint8 parameters of a range (f32, min ≤ max), §3.2. The range is widened to contain 0. */
export function asymmetric(min: number, max: number): ScaleAndZeroPoint {
  const low = Math.min(0, min);
  const high = Math.max(0, max);
  let scale = (high - low) / UINT8_LEVELS;
  let zeroPoint: number;
  if (min >= 0) {
    zeroPoint = 0;
    scale = max / UINT8_LEVELS;
  } else if (max < 0) {
    zeroPoint = UINT8_LEVELS;
    scale = -min / UINT8_LEVELS;
  } else {
    zeroPoint = f32(roundHalfAway(0 - low / scale));
  }
  if (scale < 1e-5) {
    scale = 1e-5;
    zeroPoint = f32(roundHalfAway(0 - low / 1e-5));
  }
  return {
    scale: f32(scale),
    // round(0.0 − 0.0) is +0, but an expression of −0 must not reach a zero point.
    zeroPoint: zeroPoint + 0,
    // In f64 with the f64 scale, not the stored f32 one.
    nudgedMin: f32(-zeroPoint * scale),
    nudgedMax: f32((UINT8_LEVELS - zeroPoint) * scale),
  };
}

/** Symmetric parameters of a range (f32), §3.3. `limit` is 32767 (int16), 127 (int8) or 7 (int4). */
export function symmetric(min: number, max: number, limit: number = INT16_LIMIT): ScaleAndZeroPoint {
  const low = Math.min(0, min);
  const high = Math.max(0, max);
  const fromMin = low < 0 ? low / -limit : 0;
  const fromMax = high > 0 ? high / limit : 0;
  const scale = Math.max(f32(Math.max(fromMin, fromMax)), f32(limit === INT16_LIMIT ? 1e-8 : 1e-5));
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
