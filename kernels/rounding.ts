/**
 * Rounding rows of weights so that what they compute changes least: J = eᵀ C e for the error e of a row, C the covariance of what the row reads.
 *
 * All in float64. Values are in steps of their row's scale, counted from its zero point, so integers of a row lie between its `low` and `high`.
 */
import { addScaled } from "./factor";
import { demand, listResult, reserve } from "./memory";

/** a · b over `count` values. Two sums, joined in the end: always in the same order. */
function dot(a: usize, b: usize, count: usize): f64 {
  let sum = f64x2.splat(0);
  const pairs = a + ((count & ~1) << 3);
  while (a < pairs) {
    sum = f64x2.add(sum, f64x2.mul(v128.load(a), v128.load(b)));
    a += 16;
    b += 16;
  }
  const both = f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
  return (count & 1) == 1 ? both + load<f64>(a) * load<f64>(b) : both;
}

/** a · b for four b that lie one after the other, each exactly as `dot` has it; side by side, because one sum has to wait for itself. → to, to + stride … */
function dotFour(a: usize, b: usize, count: usize, to: usize, stride: usize): void {
  const size = count << 3;
  let sum0 = f64x2.splat(0);
  let sum1 = sum0;
  let sum2 = sum0;
  let sum3 = sum0;
  const pairs = a + ((count & ~1) << 3);
  let b0 = b;
  let b1 = b + size;
  let b2 = b1 + size;
  let b3 = b2 + size;
  while (a < pairs) {
    const own = v128.load(a);
    sum0 = f64x2.add(sum0, f64x2.mul(own, v128.load(b0)));
    sum1 = f64x2.add(sum1, f64x2.mul(own, v128.load(b1)));
    sum2 = f64x2.add(sum2, f64x2.mul(own, v128.load(b2)));
    sum3 = f64x2.add(sum3, f64x2.mul(own, v128.load(b3)));
    a += 16;
    b0 += 16;
    b1 += 16;
    b2 += 16;
    b3 += 16;
  }
  const odd = (count & 1) == 1;
  const last = odd ? load<f64>(a) : 0;
  store<f64>(to, both(sum0, odd, last, b0));
  store<f64>(to + stride, both(sum1, odd, last, b1));
  store<f64>(to + 2 * stride, both(sum2, odd, last, b2));
  store<f64>(to + 3 * stride, both(sum3, odd, last, b3));
}

// @ts-ignore: decorator
@inline
function both(sum: v128, odd: bool, last: f64, at: usize): f64 {
  const all = f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
  return odd ? all + last * load<f64>(at) : all;
}

// @ts-ignore: decorator
@inline
function limited(value: f64, low: f64, high: f64): f64 {
  return min(max(nearest(value), low), high);
}

/** Rows that are worked on together, so that the factor is read once for all of them, and no sum waits for itself. */
const TOGETHER: usize = 8;

/** For eight rows: (T e) at i of the errors that come behind i. → to */
function behind(line: usize, i: usize, n: usize, errors: usize, to: usize): void {
  let sum0 = f64x2.splat(0);
  let sum1 = sum0;
  let sum2 = sum0;
  let sum3 = sum0;
  let at = line + ((i + 1) << 3);
  let error = errors + (((i + 1) * TOGETHER) << 3);
  const end = line + (n << 3);
  while (at < end) {
    const by = v128.load64_splat(at);
    sum0 = f64x2.add(sum0, f64x2.mul(by, v128.load(error)));
    sum1 = f64x2.add(sum1, f64x2.mul(by, v128.load(error, 16)));
    sum2 = f64x2.add(sum2, f64x2.mul(by, v128.load(error, 32)));
    sum3 = f64x2.add(sum3, f64x2.mul(by, v128.load(error, 48)));
    at += 8;
    error += TOGETHER << 3;
  }
  v128.store(to, sum0);
  v128.store(to, sum1, 16);
  v128.store(to, sum2, 32);
  v128.store(to, sum3, 48);
}

/**
 * Rounds rows one value after the other, the last first, each to what is best after the errors before it, when those to come may be any
 * numbers (GPTQ; with the triangular factor T of C the same as the nearest plane). → (integers, J of each row)
 *
 * `steps`: nothing, or the step of each value; then J is that of values, not of steps. `lows`, `highs`: one for each row, or for each value.
 */
export function successive(
  values: usize,
  count: usize,
  steps: usize,
  stepCount: usize,
  lows: usize,
  limits: usize,
  highs: usize,
  limits2: usize,
  triangle: usize,
  entries: usize,
  rows: u32,
): usize {
  demand(rows > 0 && count % rows == 0 && limits2 == limits);
  const n = count / rows;
  demand(entries == n * n && (stepCount == 0 || stepCount == count) && (limits == rows || limits == count));
  const ofValues = limits == count;
  const integers = reserve(count << 3);
  const losses = reserve((<usize>rows) << 3);
  memory.fill(losses, 0, (<usize>rows) << 3);
  // Errors of the rows, value by value.
  const errors = reserve((n * TOGETHER) << 3);
  for (let first: usize = 0; first < rows; first += TOGETHER) {
    const some = min(TOGETHER, rows - first);
    memory.fill(errors, 0, (n * TOGETHER) << 3);
    for (let back: usize = 0; back < n; back++) {
      const i = n - 1 - back;
      const line = triangle + ((i * n) << 3);
      const to = errors + ((i * TOGETHER) << 3);
      behind(line, i, n, errors, to);
      const own = load<f64>(line + (i << 3));
      for (let r: usize = 0; r < some; r++) {
        const place = ((first + r) * n + i) << 3;
        const value = load<f64>(values + place);
        const sum = load<f64>(to + (r << 3));
        const row = (first + r) << 3;
        const limit = ofValues ? place : row;
        const step = stepCount > 0 ? load<f64>(steps + place) : 1;
        const integer = limited((value - sum / own) / step, load<f64>(lows + limit), load<f64>(highs + limit));
        const error = integer * step - value;
        store<f64>(integers + place, integer);
        store<f64>(to + (r << 3), error);
        store<f64>(losses + row, load<f64>(losses + row) + squared(sum + own * error));
      }
    }
  }
  return pairOfLists(integers, count, losses, rows);
}

/** J of rows of integers by the factor T of C, which is half the work of C itself: |T e|². */
export function losses(
  integers: usize,
  count: usize,
  values: usize,
  count2: usize,
  triangle: usize,
  entries: usize,
  rows: u32,
): usize {
  demand(rows > 0 && count2 == count && count % rows == 0);
  const n = count / rows;
  demand(entries == n * n);
  const found = reserve((<usize>rows) << 3);
  memory.fill(found, 0, (<usize>rows) << 3);
  const errors = reserve((n * TOGETHER) << 3);
  const sums = reserve(TOGETHER << 3);
  memory.fill(errors, 0, (n * TOGETHER) << 3);
  for (let first: usize = 0; first < rows; first += TOGETHER) {
    const some = min(TOGETHER, rows - first);
    for (let r: usize = 0; r < some; r++) {
      const from = ((first + r) * n) << 3;
      for (let k: usize = 0; k < n; k++)
        store<f64>(
          errors + ((k * TOGETHER + r) << 3),
          load<f64>(integers + from + (k << 3)) - load<f64>(values + from + (k << 3)),
        );
    }
    for (let back: usize = 0; back < n; back++) {
      const i = n - 1 - back;
      const line = triangle + ((i * n) << 3);
      behind(line, i, n, errors, sums);
      const own = load<f64>(line + (i << 3));
      for (let r: usize = 0; r < some; r++) {
        const error = load<f64>(errors + ((i * TOGETHER + r) << 3));
        const to = found + ((first + r) << 3);
        store<f64>(to, load<f64>(to) + squared(load<f64>(sums + (r << 3)) + own * error));
      }
    }
  }
  return listResult(found, rows);
}

// @ts-ignore: decorator
@inline
function squared(value: f64): f64 {
  return value * value;
}

/** Two lists of doubles, as a kernel that gives both hands them on. */
function pairOfLists(first: usize, count: usize, second: usize, count2: usize): usize {
  const area = reserve(16);
  store<u32>(area, <u32>first);
  store<u32>(area, <u32>count, 4);
  store<u32>(area, <u32>second, 8);
  store<u32>(area, <u32>count2, 12);
  return area;
}

/** Rows whose slopes are found together. */
const ROWS: usize = 4;

/**
 * Goes on from integers: value after value, each is moved by the step that lowers J most, as long as one does, `sweeps` times at most.
 * → (integers, J of each row at the end). Without sweeps it gives J alone. J never rises.
 */
export function descend(
  start: usize,
  count: usize,
  values: usize,
  count2: usize,
  lows: usize,
  rows: usize,
  highs: usize,
  rows2: usize,
  matrix: usize,
  entries: usize,
  sweeps: u32,
): usize {
  demand(rows > 0 && rows2 == rows && count2 == count && count % rows == 0);
  const n = count / rows;
  demand(entries == n * n);
  const integers = reserve(count << 3);
  memory.copy(integers, start, count << 3);
  const losses = reserve(rows << 3);
  const errors = reserve((n * ROWS) << 3);
  const slopes = reserve((n * ROWS) << 3);
  for (let first: usize = 0; first < rows; first += ROWS) {
    const some = min(ROWS, rows - first);
    for (let r: usize = 0; r < some; r++) {
      const from = ((first + r) * n) << 3;
      for (let k: usize = 0; k < n; k++)
        store<f64>(
          errors + ((r * n + k) << 3),
          load<f64>(integers + from + (k << 3)) - load<f64>(values + from + (k << 3)),
        );
    }
    if (some == ROWS)
      for (let k: usize = 0; k < n; k++) dotFour(matrix + ((k * n) << 3), errors, n, slopes + (k << 3), n << 3);
    else
      for (let k: usize = 0; k < n; k++)
        for (let r: usize = 0; r < some; r++)
          store<f64>(slopes + ((r * n + k) << 3), dot(matrix + ((k * n) << 3), errors + ((r * n) << 3), n));
    for (let r: usize = 0; r < some; r++) {
      const row = first + r;
      const error = errors + ((r * n) << 3);
      const slope = slopes + ((r * n) << 3);
      const low = load<f64>(lows + (row << 3));
      const high = load<f64>(highs + (row << 3));
      const integer = integers + ((row * n) << 3);
      for (let sweep: u32 = 0; sweep < sweeps; sweep++)
        if (!sweepOnce(integer, error, slope, low, high, matrix, n)) break;
      store<f64>(losses + (row << 3), dot(error, slope, n));
    }
  }
  return pairOfLists(integers, count, losses, rows);
}

/** Whether anything was moved. */
function sweepOnce(integers: usize, errors: usize, slopes: usize, low: f64, high: f64, matrix: usize, n: usize): bool {
  let moved = false;
  for (let k: usize = 0; k < n; k++) {
    const own = load<f64>(matrix + ((k * n + k) << 3));
    if (!(own > 0)) continue;
    const slope = load<f64>(slopes + (k << 3));
    const before = load<f64>(integers + (k << 3));
    const after = limited(before - slope / own, low, high);
    const step = after - before;
    // The change of J, with a share of it for rounding errors, so that no step is taken back and forth.
    if (step == 0 || !(2 * step * slope + step * step * own < -1e-12 * own)) continue;
    store<f64>(integers + (k << 3), after);
    store<f64>(errors + (k << 3), load<f64>(errors + (k << 3)) + step);
    addScaled(slopes, matrix + ((k * n) << 3), step, n);
    moved = true;
  }
  return moved;
}

/** Values of a row that are tried in all ways. */
const MOST: usize = 12;

/** Of all ways to round a row of a few values down or up, the one of least J: integers. */
export function everyway(
  values: usize,
  count: usize,
  lows: usize,
  rows: usize,
  highs: usize,
  rows2: usize,
  matrix: usize,
  entries: usize,
): usize {
  demand(rows > 0 && rows2 == rows && count % rows == 0);
  const n = count / rows;
  demand(n <= MOST && entries == n * n);
  const integers = reserve(count << 3);
  const errors = reserve(n << 3);
  const slopes = reserve(n << 3);
  for (let row: usize = 0; row < rows; row++) {
    const low = load<f64>(lows + (row << 3));
    const high = load<f64>(highs + (row << 3));
    const from = (row * n) << 3;
    for (let k: usize = 0; k < n; k++) {
      const value = load<f64>(values + from + (k << 3));
      store<f64>(errors + (k << 3), min(max(floor(value), low), high) - value);
    }
    for (let k: usize = 0; k < n; k++) store<f64>(slopes + (k << 3), dot(matrix + ((k * n) << 3), errors, n));
    let loss = dot(errors, slopes, n);
    let least = loss;
    let best: u32 = 0;
    let ups: u32 = 0;
    // Gray code: from one way to the next a single value goes up or down.
    for (let way: u32 = 1; way < 1 << (<u32>n); way++) {
      const k = <usize>ctz(way);
      const up = (ups & (1 << (<u32>k))) == 0;
      ups ^= 1 << (<u32>k);
      const value = load<f64>(values + from + (k << 3));
      const target = min(max(floor(value) + (up ? 1 : 0), low), high) - value;
      const step = target - load<f64>(errors + (k << 3));
      if (step != 0) {
        loss += 2 * step * load<f64>(slopes + (k << 3)) + step * step * load<f64>(matrix + ((k * n + k) << 3));
        store<f64>(errors + (k << 3), target);
        addScaled(slopes, matrix + ((k * n) << 3), step, n);
      }
      if (loss < least) {
        least = loss;
        best = ups;
      }
    }
    for (let k: usize = 0; k < n; k++) {
      const value = load<f64>(values + from + (k << 3));
      const up = (best & (1 << (<u32>k))) != 0;
      store<f64>(integers + from + (k << 3), min(max(floor(value) + (up ? 1 : 0), low), high));
    }
  }
  return listResult(integers, count);
}

/**
 * What rows lose when their scales are shrunk by ratios and their values rounded to the nearest: Σ weight · error², in squares of the unshrunk
 * step. → [rows, ratios]
 */
export function shrunk(
  values: usize,
  count: usize,
  lows: usize,
  rows: usize,
  highs: usize,
  rows2: usize,
  weights: usize,
  n: usize,
  ratios: usize,
  tries: usize,
): usize {
  demand(rows > 0 && rows2 == rows && count == rows * n);
  const losses = reserve((rows * tries) << 3);
  for (let row: usize = 0; row < rows; row++) {
    const low = f64x2.splat(load<f64>(lows + (row << 3)));
    const high = f64x2.splat(load<f64>(highs + (row << 3)));
    for (let t: usize = 0; t < tries; t++) {
      const ratio = load<f64>(ratios + (t << 3));
      const by = f64x2.splat(ratio);
      const inverse = f64x2.splat(1 / ratio);
      let at = values + ((row * n) << 3);
      let weight = weights;
      let sum = f64x2.splat(0);
      const pairs = at + ((n & ~1) << 3);
      while (at < pairs) {
        const value = v128.load(at);
        const integer = f64x2.min(f64x2.max(f64x2.nearest(f64x2.mul(value, inverse)), low), high);
        const error = f64x2.sub(f64x2.mul(integer, by), value);
        sum = f64x2.add(sum, f64x2.mul(v128.load(weight), f64x2.mul(error, error)));
        at += 16;
        weight += 16;
      }
      let total = f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
      if ((n & 1) == 1) {
        const value = load<f64>(at);
        const integer = limited(value / ratio, f64x2.extract_lane(low, 0), f64x2.extract_lane(high, 0));
        const error = integer * ratio - value;
        total += load<f64>(weight) * error * error;
      }
      store<f64>(losses + ((row * tries + t) << 3), total);
    }
  }
  return listResult(losses, rows * tries);
}
