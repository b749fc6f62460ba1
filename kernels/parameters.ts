/**
 * Scales and zero points of many channels: the rules of src/rules/arithmetic.ts (§3.2, §3.3) on lists, with the same float width at each
 * step. That is where they are explained; the tests hold the two to the same bits. A large model has a million channels, which
 * kept JavaScript busy for a tenth of the time that its weights take.
 *
 * Also told: whether all values of the ranges may take the kernels for values near their range (near.ts), which do not clip. Every
 * step of QA and QS is monotone, so the ends of the values and of the representable range tell all.
 */
import { ALMOST_HALF } from "./elements";
import { demand, reserve } from "./memory";

const LEVELS: f64 = 255;
const SMALLEST: f64 = 1e-5;
/** Where the way of near.ts to an integer ends is 2^22. */
const FAR: f32 = 2097152;

/** The five lists of a result and their pointers. */
let scales: usize = 0;
let zeroPoints: usize = 0;
let nudgedMins: usize = 0;
let nudgedMaxs: usize = 0;
let inverses: usize = 0;

export function reserveLists(count: usize): void {
  scales = reserve(count << 2);
  zeroPoints = reserve(count << 3);
  nudgedMins = reserve(count << 2);
  nudgedMaxs = reserve(count << 2);
  inverses = reserve(count << 2);
}

/** Pointer and count of each list, to where a result's lists begin. */
export function storeLists(area: usize, count: usize): void {
  store<u32>(area, <u32>scales);
  store<u32>(area, <u32>zeroPoints, 8);
  store<u32>(area, <u32>nudgedMins, 16);
  store<u32>(area, <u32>nudgedMaxs, 24);
  store<u32>(area, <u32>inverses, 32);
  for (let i: usize = 0; i < 5; i++) store<u32>(area + (i << 3), <u32>count, 4);
}

function parametersResult(count: usize, near: bool): usize {
  const area = reserve(44);
  storeLists(area, count);
  store<u32>(area, near ? 1 : 0, 40);
  return area;
}

/** What the quick ways take of channel `i`. */
// @ts-ignore: decorator
@inline
export function nudgedMinOf(i: usize): f32 {
  return load<f32>(nudgedMins + (i << 2));
}

// @ts-ignore: decorator
@inline
export function inverseOf(i: usize): f32 {
  return load<f32>(inverses + (i << 2));
}

function put(i: usize, scale: f32, zeroPoint: f64, nudgedMin: f32, nudgedMax: f32): void {
  store<f32>(scales + (i << 2), scale);
  // Saturates, NaN gives 0; ranges that are numbers give 0 to 255.
  store<i64>(zeroPoints + (i << 3), <i64>zeroPoint);
  store<f32>(nudgedMins + (i << 2), nudgedMin);
  store<f32>(nudgedMaxs + (i << 2), nudgedMax);
  store<f32>(inverses + (i << 2), <f32>(1 / <f64>scale));
}

/** C's round for doubles. */
// @ts-ignore: decorator
@inline
function rounded(x: f64): f64 {
  const whole = trunc<f64>(x);
  return abs<f64>(x - whole) >= 0.5 ? whole + copysign<f64>(1, x) : whole;
}

/** QA of channel `i`, §3.2. Whether its values are near. */
export function asymparameter(i: usize, least: f32, most: f32): bool {
  const low = min<f64>(0, <f64>least);
  const high = max<f64>(0, <f64>most);
  let scale = (high - low) / LEVELS;
  let zeroPoint: f64;
  if (least >= 0) {
    zeroPoint = 0;
    scale = <f64>most / LEVELS;
  } else if (most < 0) {
    zeroPoint = LEVELS;
    scale = -(<f64>least) / LEVELS;
  } else {
    zeroPoint = <f64>(<f32>rounded(0 - low / scale));
  }
  if (scale < SMALLEST) {
    scale = SMALLEST;
    zeroPoint = <f64>(<f32>rounded(0 - low / SMALLEST));
  }
  const nudgedMin = <f32>(-zeroPoint * scale);
  const nudgedMax = <f32>((LEVELS - zeroPoint) * scale);
  put(i, <f32>scale, zeroPoint + 0, nudgedMin, nudgedMax);
  const inv = inverseOf(i);
  // 255 at the upper end, so that storing within 0..255 clips where the rule does. Comparisons with NaN are false.
  const last = (nudgedMax - nudgedMin) * inv + ALMOST_HALF;
  return (
    last >= 255 && last < 256 && abs<f32>((least - nudgedMin) * inv) < FAR && abs<f32>((most - nudgedMin) * inv) < FAR
  );
}

/**
 * QS of channel `i` for integers -limit..limit and no scale below `smallest`, §3.3. Whether its values are near: none becomes an
 * integer beyond the limit, so no clipping is needed.
 */
export function symparameter(i: usize, least: f32, most: f32, limit: i32, smallest: f32): bool {
  const steps = <f64>limit;
  const low = min<f64>(0, <f64>least);
  const high = max<f64>(0, <f64>most);
  const fromMin: f64 = low < 0 ? low / -steps : 0;
  const fromMax: f64 = high > 0 ? high / steps : 0;
  const scale = max<f32>(<f32>max<f64>(fromMin, fromMax), smallest);
  const nudgedMax = <f32>(steps * <f64>scale);
  put(i, scale, 0, <f32>(-steps * <f64>scale), nudgedMax);
  const inv = inverseOf(i);
  const last = nudgedMax * inv + ALMOST_HALF;
  const largest = <f32>limit;
  const beyond = <f32>(limit + 1);
  return last >= largest && last < beyond && most * inv + ALMOST_HALF < beyond && -least * inv + ALMOST_HALF < beyond;
}

/** QA, §3.2. → (scale, zero point, nudged min, nudged max, inverse, near) */
export function asymparameters(mins: usize, minCount: usize, maxs: usize, maxCount: usize): usize {
  demand(minCount == maxCount);
  reserveLists(minCount);
  let near = true;
  for (let i: usize = 0; i < minCount; i++)
    if (!asymparameter(i, load<f32>(mins + (i << 2)), load<f32>(maxs + (i << 2)))) near = false;
  return parametersResult(minCount, near);
}

/** QS, §3.3. → as above */
export function symparameters(
  mins: usize,
  minCount: usize,
  maxs: usize,
  maxCount: usize,
  limit: i32,
  smallest: f32,
): usize {
  demand(minCount == maxCount && limit > 0);
  reserveLists(minCount);
  let near = true;
  for (let i: usize = 0; i < minCount; i++)
    if (!symparameter(i, load<f32>(mins + (i << 2)), load<f32>(maxs + (i << 2)), limit, smallest)) near = false;
  // Near in the sense of symnear, which saturates at the limits of i16.
  return parametersResult(minCount, near && limit == i16.MAX_VALUE);
}
