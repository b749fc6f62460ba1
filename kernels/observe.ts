/**
 * A module of its own: `observe` (ranges.ts) for tensors that lie in somebody else's memory, LiteRT's. It imports that memory and
 * keeps nothing in it: no data, no stack, no arena; results are numbers that the host asks for after a call.
 */
import { scannedMax, scannedMin, scanObserved } from "./ranges";

const LARGEST: f32 = f32.MAX_VALUE;
const LOWEST: f32 = -f32.MAX_VALUE;

let min: f32 = 0;
let max: f32 = 0;

/** Scans `count` floats at `values`, §7.3. Returns how many were not passed over; 0: `smallest` and `largest` say nothing. */
export function observe(values: usize, count: usize): u32 {
  const ignored = scanObserved(values, count, LARGEST, LOWEST);
  min = scannedMin;
  max = scannedMax;
  return <u32>count - ignored;
}

/** The same with ±inf counted as ±FLT_MAX, of which the lower one is passed over. For the few tensors that have infinities. */
export function observefinite(values: usize, count: usize): u32 {
  let low = LARGEST;
  let high = LOWEST;
  let seen: u32 = 0;
  const end = values + (count << 2);
  for (let at = values; at < end; at += 4) {
    let value = load<f32>(at);
    if (value > LARGEST) value = LARGEST;
    // NaN, -inf and -FLT_MAX.
    if (!(value > LOWEST)) continue;
    seen++;
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
