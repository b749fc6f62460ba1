/**
 * A module of its own: `observe` (ranges.ts) for tensors that lie in LiteRT's memory. It imports that memory and
 * keeps nothing in it: no data, no stack, no arena; results are numbers that the host asks for after a call.
 */
import { firstZero, largestLane, scannedMax, scannedMin, scanObserved, smallestLane } from "./ranges";

const LARGEST: f32 = f32.MAX_VALUE;
const LOWEST: f32 = -f32.MAX_VALUE;

let min: f32 = 0;
let max: f32 = 0;

/**
 * Scans `count` floats at `values`, §7.3. Returns whether any was not passed over; if not, `smallest` and `largest` say nothing.
 *
 * Of what is passed over, NaN is never taken by `pmin` and `pmax` anyway, and -FLT_MAX shows in the result: whenever one is there, the
 * smallest value is -FLT_MAX or -inf. So a scan that tests no value for either is exact unless it ends there, and costs two operations
 * a vector instead of seven. Only then is scanned again with the tests.
 */
export function observe(values: usize, count: usize): bool {
  scanUntested(values, count);
  if (min > LOWEST) return min <= max;
  const ignored = scanObserved(values, count, LARGEST, LOWEST);
  min = scannedMin;
  max = scannedMax;
  return <u32>count > ignored;
}

/** The loop of §3.1 (ranges.ts). Four running results of each kind: one would make every vector wait for the one before. */
function scanUntested(values: usize, count: usize): void {
  let min0 = f32x4.splat(LARGEST);
  let min1 = min0;
  let min2 = min0;
  let min3 = min0;
  let max0 = f32x4.splat(LOWEST);
  let max1 = max0;
  let max2 = max0;
  let max3 = max0;
  let at = values;
  const blocks = values + ((count & ~15) << 2);
  while (at < blocks) {
    const a = v128.load(at, 0, 1);
    const b = v128.load(at, 16, 1);
    const c = v128.load(at, 32, 1);
    const d = v128.load(at, 48, 1);
    min0 = f32x4.pmin(min0, a);
    max0 = f32x4.pmax(max0, a);
    min1 = f32x4.pmin(min1, b);
    max1 = f32x4.pmax(max1, b);
    min2 = f32x4.pmin(min2, c);
    max2 = f32x4.pmax(max2, c);
    min3 = f32x4.pmin(min3, d);
    max3 = f32x4.pmax(max3, d);
    at += 64;
  }
  let low = smallestLane(f32x4.pmin(f32x4.pmin(min0, min1), f32x4.pmin(min2, min3)));
  let high = largestLane(f32x4.pmax(f32x4.pmax(max0, max1), f32x4.pmax(max2, max3)));
  const end = values + (count << 2);
  while (at < end) {
    const value = load<f32>(at);
    if (value < low) low = value;
    if (value > high) high = value;
    at += 4;
  }
  // Of zeros the first one counts, as there.
  min = low == 0 ? firstZero(values, count) : low;
  max = high == 0 ? firstZero(values, count) : high;
}

/** The same with ±inf counted as ±FLT_MAX, of which the lower one is passed over. For the few tensors that have infinities. */
export function observefinite(values: usize, count: usize): bool {
  let low = LARGEST;
  let high = LOWEST;
  let seen = false;
  const end = values + (count << 2);
  for (let at = values; at < end; at += 4) {
    let value = load<f32>(at);
    if (value > LARGEST) value = LARGEST;
    // NaN, -inf and -FLT_MAX.
    if (!(value > LOWEST)) continue;
    seen = true;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  min = low;
  max = high;
  return seen;
}

/** Results of the last call. */
export function smallest(): f32 {
  return min;
}

export function largest(): f32 {
  return max;
}
