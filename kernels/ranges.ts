/**
 * Smallest and largest values (reference §3.1, §7.3).
 *
 * The reference's rule is a scalar loop in storage order: `if (v < min) min = v; if (v > max) max = v`. WASM's
 * `pmin(a, b)` is exactly `b < a ? b : a`, so a lane of it is that loop: NaN is never taken, and a NaN that is already
 * there stays. Lanes see the elements in another order than the loop does; equal floats have equal bits but for ±0, so
 * the order shows only when the result is a zero. Then the first zero in storage order is looked up, since the strict
 * comparison keeps the first.
 */
import { demand, outerOf, reserve } from "./memory";

const LARGEST: f32 = f32.MAX_VALUE;
const LOWEST: f32 = -f32.MAX_VALUE;

/** Row-wise scanning repeats the channels until a row has this many elements, so that rows do not wait for each other. */
const SHORTEST_ROW: usize = 64;
/** Channels whose contiguous part is shorter than this are scanned row by row. */
const SHORT_INNER: u32 = 16;

/** Channels from here on are scanned one by one as whole tensors are. */
const LONG_INNER: u32 = 64;

/** First zero of `count` elements; there is one. Keeps its sign. */
export function firstZero(values: usize, count: usize): f32 {
  const zero = f32x4.splat(0);
  const vectors = values + ((count & ~3) << 2);
  while (values < vectors && !v128.any_true(f32x4.eq(v128.load(values, 0, 1), zero))) values += 16;
  while (load<f32>(values) != 0) values += 4;
  return load<f32>(values);
}

/** Running result of `scan` and `scanObserved`. */
export let scannedMin: f32 = 0;
export let scannedMax: f32 = 0;

// @ts-ignore: decorator
@inline
export function smallestLane(vector: v128): f32 {
  let result = f32x4.extract_lane(vector, 0);
  const b = f32x4.extract_lane(vector, 1);
  const c = f32x4.extract_lane(vector, 2);
  const d = f32x4.extract_lane(vector, 3);
  if (b < result) result = b;
  if (c < result) result = c;
  if (d < result) result = d;
  return result;
}

// @ts-ignore: decorator
@inline
export function largestLane(vector: v128): f32 {
  let result = f32x4.extract_lane(vector, 0);
  const b = f32x4.extract_lane(vector, 1);
  const c = f32x4.extract_lane(vector, 2);
  const d = f32x4.extract_lane(vector, 3);
  if (b > result) result = b;
  if (c > result) result = c;
  if (d > result) result = d;
  return result;
}

// @ts-ignore: decorator
@inline
function sumOfLanes(vector: v128): u32 {
  return (
    i32x4.extract_lane(vector, 0) +
    i32x4.extract_lane(vector, 1) +
    i32x4.extract_lane(vector, 2) +
    i32x4.extract_lane(vector, 3)
  );
}

/** All ones (a NaN) where `vector` is -FLT_MAX, else unchanged: §7.3 ignores that value as it does NaN. */
// @ts-ignore: decorator
@inline
function withoutLowest(vector: v128, ignoreLowest: bool): v128 {
  return ignoreLowest ? v128.or(vector, f32x4.eq(vector, f32x4.splat(LOWEST))) : vector;
}

/** How many of the floats from `values` up to `end`, a multiple of four, are NaN. */
function countNaN(values: usize, end: usize): u32 {
  let found = i32x4.splat(0);
  for (let at = values; at < end; at += 16) {
    const a = v128.load(at, 0, 1);
    found = i32x4.sub(found, f32x4.ne(a, a));
  }
  return sumOfLanes(found);
}

/**
 * Continues the loop from (min, max) over `count` elements; leaves the result in scannedMin, scannedMax.
 * Returns how many elements were NaN (with `ignoreLowest`: or -FLT_MAX).
 */
// @ts-ignore: decorator
@inline
function scanBody(values: usize, count: usize, min: f32, max: f32, ignoreLowest: bool): u32 {
  let min0 = f32x4.splat(min);
  let min1 = min0;
  let max0 = f32x4.splat(max);
  let max1 = max0;
  let skipped0 = i32x4.splat(0);
  let skipped1 = i32x4.splat(0);
  let sum0 = f32x4.splat(0);
  let sum1 = sum0;
  let at = values;
  const blocks = values + ((count & ~15) << 2);
  while (at < blocks) {
    const a = withoutLowest(v128.load(at, 0, 1), ignoreLowest);
    const b = withoutLowest(v128.load(at, 16, 1), ignoreLowest);
    min0 = f32x4.pmin(min0, a);
    max0 = f32x4.pmax(max0, a);
    min1 = f32x4.pmin(min1, b);
    max1 = f32x4.pmax(max1, b);
    const c = withoutLowest(v128.load(at, 32, 1), ignoreLowest);
    const d = withoutLowest(v128.load(at, 48, 1), ignoreLowest);
    min0 = f32x4.pmin(min0, c);
    max0 = f32x4.pmax(max0, c);
    min1 = f32x4.pmin(min1, d);
    max1 = f32x4.pmax(max1, d);
    if (ignoreLowest) {
      skipped0 = i32x4.sub(i32x4.sub(skipped0, f32x4.ne(a, a)), f32x4.ne(c, c));
      skipped1 = i32x4.sub(i32x4.sub(skipped1, f32x4.ne(b, b)), f32x4.ne(d, d));
    } else {
      sum0 = f32x4.add(sum0, f32x4.add(a, b));
      sum1 = f32x4.add(sum1, f32x4.add(c, d));
    }
    at += 64;
  }
  const vectors = values + ((count & ~3) << 2);
  while (at < vectors) {
    const a = withoutLowest(v128.load(at, 0, 1), ignoreLowest);
    min0 = f32x4.pmin(min0, a);
    max0 = f32x4.pmax(max0, a);
    skipped0 = i32x4.sub(skipped0, f32x4.ne(a, a));
    at += 16;
  }
  let low = smallestLane(f32x4.pmin(min0, min1));
  let high = largestLane(f32x4.pmax(max0, max1));
  let skipped = sumOfLanes(i32x4.add(skipped0, skipped1));
  // A sum that is a number had none that was not; only then counting them one by one takes time.
  const sum = f32x4.add(sum0, sum1);
  if (v128.any_true(f32x4.ne(sum, sum))) skipped += countNaN(values, blocks);
  const end = values + (count << 2);
  while (at < end) {
    const value = load<f32>(at);
    if (value != value || (ignoreLowest && value == LOWEST)) {
      skipped++;
    } else {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    at += 4;
  }
  if (low == 0 && min != 0) low = firstZero(values, count);
  if (high == 0 && max != 0) high = firstZero(values, count);
  scannedMin = low;
  scannedMax = high;
  return skipped;
}

export function scan(values: usize, count: usize, min: f32, max: f32): u32 {
  return scanBody(values, count, min, max, false);
}

export function scanObserved(values: usize, count: usize, min: f32, max: f32): u32 {
  return scanBody(values, count, min, max, true);
}

function rangeResult(min: f32, max: f32, number: u32): usize {
  const area = reserve(12);
  store<f32>(area, min);
  store<f32>(area, max, 4);
  store<u32>(area, number, 8);
  return area;
}

/** Whole tensor, §3.1: starts with FLT_MAX and -FLT_MAX; NaN is skipped and counted. → range { min, max, nans } */
export function minmax(values: usize, count: usize): usize {
  const nans = scan(values, count, LARGEST, LOWEST);
  return rangeResult(scannedMin, scannedMax, nans);
}

/** An activation, §7.3: as minmax, but -FLT_MAX is ignored too. → observation { min, max, seen }; seen = 0: nothing left. */
export function observe(values: usize, count: usize): usize {
  const ignored = scanObserved(values, count, LARGEST, LOWEST);
  return rangeResult(scannedMin, scannedMax, <u32>count - ignored);
}

/** `count` elements of a row against the row's running results; returns the number of NaN. */
function scanRow(values: usize, mins: usize, maxs: usize, count: usize): u32 {
  let nans = i32x4.splat(0);
  const bytes = count << 2;
  let at: usize = 0;
  const pairs = bytes & ~31;
  while (at < pairs) {
    const a = v128.load(values + at, 0, 1);
    const b = v128.load(values + at, 16, 1);
    v128.store(mins + at, f32x4.pmin(v128.load(mins + at, 0, 1), a), 0, 1);
    v128.store(maxs + at, f32x4.pmax(v128.load(maxs + at, 0, 1), a), 0, 1);
    v128.store(mins + at, f32x4.pmin(v128.load(mins + at, 16, 1), b), 16, 1);
    v128.store(maxs + at, f32x4.pmax(v128.load(maxs + at, 16, 1), b), 16, 1);
    nans = i32x4.sub(i32x4.sub(nans, f32x4.ne(a, a)), f32x4.ne(b, b));
    at += 32;
  }
  let total = sumOfLanes(nans);
  while (at < bytes) {
    const value = load<f32>(values + at);
    if (value != value) total++;
    if (value < load<f32>(mins + at)) store<f32>(mins + at, value);
    if (value > load<f32>(maxs + at)) store<f32>(maxs + at, value);
    at += 4;
  }
  return total;
}

/** First zero of channel `channel` in storage order; there is one. */
function firstZeroOfChannel(values: usize, channels: usize, inner: usize, channel: usize): f32 {
  let run = values + ((channel * inner) << 2);
  while (true) {
    for (let i: usize = 0; i < inner; i++) {
      const value = load<f32>(run + (i << 2));
      if (value == 0) return value;
    }
    run += (channels * inner) << 2;
  }
}

/**
 * Rows of channels * inner elements, several at a time, each element with its own running result; at the end the
 * results of a channel's elements are merged.
 */
function scanRows(values: usize, outer: usize, channels: usize, inner: usize, mins: usize, maxs: usize): u32 {
  const row = channels * inner;
  const repeat = min((SHORTEST_ROW + row - 1) / row, outer);
  const period = row * repeat;
  const rowMins = reserve(period << 2);
  const rowMaxs = reserve(period << 2);
  let at: usize = 0;
  for (let r: usize = 0; r < repeat; r++) {
    for (let c: usize = 0; c < channels; c++) {
      const low = load<f32>(mins + (c << 2));
      const high = load<f32>(maxs + (c << 2));
      for (let i: usize = 0; i < inner; i++) {
        store<f32>(rowMins + at, low);
        store<f32>(rowMaxs + at, high);
        at += 4;
      }
    }
  }
  let nans: u32 = 0;
  let left = outer * row;
  at = values;
  while (left > 0) {
    const count = min(left, period);
    nans += scanRow(at, rowMins, rowMaxs, count);
    at += count << 2;
    left -= count;
  }
  for (let c: usize = 0; c < channels; c++) {
    const startMin = load<f32>(mins + (c << 2));
    const startMax = load<f32>(maxs + (c << 2));
    let low = startMin;
    let high = startMax;
    for (let r: usize = 0; r < repeat; r++) {
      for (let i: usize = 0; i < inner; i++) {
        const element = (r * row + c * inner + i) << 2;
        const smallest = load<f32>(rowMins + element);
        const largest = load<f32>(rowMaxs + element);
        if (smallest < low) low = smallest;
        if (largest > high) high = largest;
      }
    }
    if (low == 0 && startMin != 0) low = firstZeroOfChannel(values, channels, inner, c);
    if (high == 0 && startMax != 0) high = firstZeroOfChannel(values, channels, inner, c);
    store<f32>(mins + (c << 2), low);
    store<f32>(maxs + (c << 2), high);
  }
  return nans;
}

/** The smallest of the lanes in each lane. They are all NaN or none. */
// @ts-ignore: decorator
@inline
function smallestInAll(vector: v128): v128 {
  const pairs = f32x4.pmin(vector, v128.shuffle<i32>(vector, vector, 2, 3, 0, 1));
  return f32x4.pmin(pairs, v128.shuffle<i32>(pairs, pairs, 1, 0, 3, 2));
}

// @ts-ignore: decorator
@inline
function largestInAll(vector: v128): v128 {
  const pairs = f32x4.pmax(vector, v128.shuffle<i32>(vector, vector, 2, 3, 0, 1));
  return f32x4.pmax(pairs, v128.shuffle<i32>(pairs, pairs, 1, 0, 3, 2));
}

/**
 * Channels of some values each, four at least: what `scan` does once a channel would take longer than the values. So the last
 * vector is moved back to end with the channel, where smallest and largest do not mind that it sees some values twice, and
 * lanes are joined by vectors; NaN are added up at the very end.
 */
function scanShort(values: usize, runs: usize, channels: usize, inner: usize, mins: usize, maxs: usize): u32 {
  const bytes = inner << 2;
  // Of the last vector, the lanes that no other has counted.
  const uncounted = i32x4.gt_s(i32x4(0, 1, 2, 3), i32x4.splat(3 - (<i32>inner & 3)));
  let nans = i32x4.splat(0);
  let channel: usize = 0;
  let at = values;
  for (let run: usize = 0; run < runs; run++) {
    const list = channel << 2;
    let low = v128.load32_splat(mins + list, 0, 1);
    let high = v128.load32_splat(maxs + list, 0, 1);
    const end = at + bytes;
    for (; at + 16 <= end; at += 16) {
      const a = v128.load(at, 0, 1);
      low = f32x4.pmin(low, a);
      high = f32x4.pmax(high, a);
      nans = i32x4.sub(nans, f32x4.ne(a, a));
    }
    const last = v128.load(end - 16, 0, 1);
    nans = i32x4.sub(nans, v128.and(f32x4.ne(last, last), uncounted));
    const smallest = f32x4.extract_lane(smallestInAll(f32x4.pmin(low, last)), 0);
    const largest = f32x4.extract_lane(largestInAll(f32x4.pmax(high, last)), 0);
    keep(mins + list, smallest, end - bytes, inner);
    keep(maxs + list, largest, end - bytes, inner);
    at = end;
    channel = channel + 1 == channels ? 0 : channel + 1;
  }
  return sumOfLanes(nans);
}

/** Sets a channel's result after a run; of zeros the first one stays, and a NaN stays as it is, payload included. */
// @ts-ignore: decorator
@inline
function keep(result: usize, found: f32, values: usize, count: usize): void {
  if (found == 0) {
    if (load<f32>(result) != 0) store<f32>(result, firstZero(values, count));
  } else if (found == found) {
    store<f32>(result, found);
  }
}

/**
 * Per channel of [outer, channels, inner], §3.1: the channel's first element starts both (NaN stays then).
 * With start lists (one value per channel instead of none) the loop goes on from those.
 * → (mins, maxs, nans)
 */
export function channels(
  values: usize,
  count: usize,
  channelCount: u32,
  inner: u32,
  startMins: usize,
  startMinCount: usize,
  startMaxs: usize,
  startMaxCount: usize,
): usize {
  const outer = outerOf(count, channelCount, inner);
  const bytes = (<usize>channelCount) << 2;
  const mins = reserve(bytes);
  const maxs = reserve(bytes);
  const area = reserve(20);
  demand(startMinCount == startMaxCount && (startMinCount == 0 || startMinCount == channelCount));
  if (startMinCount > 0) {
    memory.copy(mins, startMins, bytes);
    memory.copy(maxs, startMaxs, bytes);
  } else {
    for (let c: usize = 0; c < channelCount; c++) {
      // Bits, not values: a NaN keeps its payload.
      const first = values + ((c * inner) << 2);
      store<u32>(mins + (c << 2), outer > 0 ? load<u32>(first) : reinterpret<u32>(LARGEST));
      store<u32>(maxs + (c << 2), outer > 0 ? load<u32>(first) : reinterpret<u32>(LOWEST));
    }
  }
  let nans: u32 = 0;
  if (outer > 0 && inner < SHORT_INNER && (inner == 1 || outer > 4)) {
    nans = scanRows(values, outer, channelCount, inner, mins, maxs);
  } else if (inner >= 4 && inner < LONG_INNER) {
    nans = scanShort(values, outer * channelCount, channelCount, inner, mins, maxs);
  } else {
    const runs = outer * channelCount;
    let channel: usize = 0;
    for (let run: usize = 0; run < runs; run++) {
      const at = channel << 2;
      nans += scan(values + ((run * inner) << 2), inner, load<f32>(mins + at), load<f32>(maxs + at));
      // A NaN start stays as it is, payload included.
      if (scannedMin == scannedMin) store<f32>(mins + at, scannedMin);
      if (scannedMax == scannedMax) store<f32>(maxs + at, scannedMax);
      channel = channel + 1 == channelCount ? 0 : channel + 1;
    }
  }
  store<u32>(area, <u32>mins);
  store<u32>(area, channelCount, 4);
  store<u32>(area, <u32>maxs, 8);
  store<u32>(area, channelCount, 12);
  store<u32>(area, nans, 16);
  return area;
}
