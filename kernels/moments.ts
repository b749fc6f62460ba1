/**
 * Sums of what layers read, in float64: the mean of each column of a matrix, and how columns vary together.
 */
import { demand, listResult, reserve } from "./memory";

/** Sums of the columns of each group of [groups, rows, columns], row after row. */
export function columnsums(values: usize, count: usize, groups: u32, columns: u32): usize {
  demand(groups > 0 && columns > 0 && count % (<usize>groups * columns) == 0);
  const rows = count / (<usize>groups * columns);
  const bytes = (<usize>groups * columns) << 3;
  const sums = reserve(bytes);
  memory.fill(sums, 0, bytes);
  let at = values;
  for (let group: usize = 0; group < groups; group++) {
    const from = sums + ((group * columns) << 3);
    for (let row: usize = 0; row < rows; row++) {
      addRow(at, from, columns);
      at += (<usize>columns) << 2;
    }
  }
  return listResult(sums, <usize>groups * columns);
}

/** sums += row. */
function addRow(row: usize, sums: usize, columns: u32): void {
  moveSums(row, sums, columns, false);
}

/** sums −= row. */
function takeRow(row: usize, sums: usize, columns: u32): void {
  moveSums(row, sums, columns, true);
}

/** Put into both, so that which of them it is costs nothing. */
// @ts-ignore: decorator
@inline
function moveSums(row: usize, sums: usize, columns: u32, takes: bool): void {
  let at = row;
  let to = sums;
  const vectors = row + ((<usize>columns & ~3) << 2);
  while (at < vectors) {
    const four = v128.load(at, 0, 1);
    const lower = f64x2.promote_low_f32x4(four);
    const upper = f64x2.promote_low_f32x4(v128.shuffle<i32>(four, four, 2, 3, 2, 3));
    const first = v128.load(to);
    const second = v128.load(to, 16);
    v128.store(to, takes ? f64x2.sub(first, lower) : f64x2.add(first, lower));
    v128.store(to, takes ? f64x2.sub(second, upper) : f64x2.add(second, upper), 16);
    at += 16;
    to += 32;
  }
  const end = row + ((<usize>columns) << 2);
  while (at < end) {
    const value = <f64>load<f32>(at);
    store<f64>(to, takes ? load<f64>(to) - value : load<f64>(to) + value);
    at += 4;
    to += 8;
  }
}

/** to += from. */
function addDoubles(to: usize, from: usize, count: usize): void {
  const pairs = to + ((count & ~1) << 3);
  while (to < pairs) {
    v128.store(to, f64x2.add(v128.load(to), v128.load(from)));
    to += 16;
    from += 16;
  }
  if ((count & 1) == 1) store<f64>(to, load<f64>(to) + load<f64>(from));
}

/**
 * What each tap of a window reads of some rows of a picture, added up: [taps down, taps across, channels]. `down`: the step between rows that a tap
 * reads, then the first and the last of them for each tap; `across`: the same of columns, behind how many there are. A tap that reads nothing has
 * its first behind its last. `top`: the number of the first row that is given.
 *
 * A tap reads all columns of its residue but a few at the edges, so each row is added up once, and what a tap does not read is taken away.
 */
export function windowsums(
  values: usize,
  count: usize,
  down: usize,
  downs: usize,
  across: usize,
  acrosses: usize,
  channels: u32,
  top: u32,
): usize {
  demand(downs > 0 && (downs & 1) == 1 && acrosses > 1 && (acrosses & 1) == 0 && channels > 0);
  const size = <usize>load<u32>(across);
  const step = load<i32>(across, 4);
  const downStep = load<i32>(down);
  const pitch = size * channels;
  demand(size > 0 && step > 0 && downStep > 0 && count % pitch == 0);
  const tapsDown = (downs - 1) >> 1;
  const tapsAcross = (acrosses - 2) >> 1;
  const width = tapsAcross * channels;
  const sums = reserve((tapsDown * width) << 3);
  memory.fill(sums, 0, (tapsDown * width) << 3);
  const bytes = (<usize>channels) << 3;
  const totals = reserve(<usize>step * bytes);
  const line = reserve(width << 3);
  const rows = <i32>(count / pitch);
  for (let row: i32 = 0; row < rows; row++) {
    const at = values + ((<usize>row * pitch) << 2);
    memory.fill(totals, 0, <usize>step * bytes);
    for (let x: i32 = 0; x < <i32>size; x++)
      addRow(at + ((<usize>x * channels) << 2), totals + <usize>(x % step) * bytes, channels);
    for (let tap: usize = 0; tap < tapsAcross; tap++) {
      const to = line + tap * bytes;
      const first = load<i32>(across + ((2 + 2 * tap) << 2));
      const last = load<i32>(across + ((3 + 2 * tap) << 2));
      if (first > last) {
        memory.fill(to, 0, bytes);
        continue;
      }
      memory.copy(to, totals + <usize>(first % step) * bytes, bytes);
      for (let x = first % step; x < first; x += step) takeRow(at + ((<usize>x * channels) << 2), to, channels);
      for (let x = last + step; x < <i32>size; x += step) takeRow(at + ((<usize>x * channels) << 2), to, channels);
    }
    const y = <i32>top + row;
    for (let tap: usize = 0; tap < tapsDown; tap++) {
      const first = load<i32>(down + ((1 + 2 * tap) << 2));
      const last = load<i32>(down + ((2 + 2 * tap) << 2));
      if (y >= first && y <= last && (y - first) % downStep == 0) addDoubles(sums + ((tap * width) << 3), line, width);
    }
  }
  return listResult(sums, tapsDown * width);
}

/** Rows whose products are summed in float32 before they are added in float64. */
const TOGETHER: usize = 64;

/**
 * Covariance of the columns of [rows, columns]: the mean of (x − mean)(x − mean)ᵀ, all of the symmetric matrix. Values lose their mean in
 * float32; sums of 64 products are float32, all further sums float64.
 */
export function covariance(values: usize, count: usize, columns: u32): usize {
  demand(columns > 0 && count > 0 && count % columns == 0);
  const size = <usize>columns;
  const rows = count / size;
  const matrix = reserve((size * size) << 3);
  memory.fill(matrix, 0, (size * size) << 3);
  const means = reserve(size << 3);
  memory.fill(means, 0, size << 3);
  for (let row: usize = 0; row < rows; row++) addRow(values + ((row * size) << 2), means, columns);
  for (let c: usize = 0; c < size; c++) {
    const mean = means + (c << 3);
    store<f64>(mean, load<f64>(mean) / <f64>rows);
  }
  // A block of rows, column by column; pairs of columns are then products of runs of floats.
  const padded = (size + 3) & ~3;
  const block = reserve((padded * TOGETHER) << 2);
  for (let first: usize = 0; first < rows; first += TOGETHER) {
    const some = min(TOGETHER, rows - first);
    if (some < TOGETHER || padded > size) memory.fill(block, 0, (padded * TOGETHER) << 2);
    for (let row: usize = 0; row < some; row++) {
      let at = values + (((first + row) * size) << 2);
      let to = block + (row << 2);
      for (let c: usize = 0; c < size; c++) {
        store<f32>(to, <f32>(<f64>load<f32>(at) - load<f64>(means + (c << 3))));
        at += 4;
        to += TOGETHER << 2;
      }
    }
    for (let i: usize = 0; i < size; i += 2)
      for (let j: usize = i & ~3; j < size; j += 4) addProducts(block, matrix, size, i, j);
  }
  const share = 1 / <f64>rows;
  for (let i: usize = 0; i < size; i++) {
    for (let j = i; j < size; j++) {
      const value = load<f64>(matrix + ((i * size + j) << 3)) * share;
      store<f64>(matrix + ((i * size + j) << 3), value);
      store<f64>(matrix + ((j * size + i) << 3), value);
    }
  }
  return listResult(matrix, size * size);
}

/** Adds the products of columns i and i + 1 with j … j + 3. What lies below the diagonal is overwritten later. */
function addProducts(block: usize, matrix: usize, size: usize, i: usize, j: usize): void {
  let a = block + ((i * TOGETHER) << 2);
  let b = block + ((j * TOGETHER) << 2);
  let s00 = f32x4.splat(0);
  let s01 = s00;
  let s02 = s00;
  let s03 = s00;
  let s10 = s00;
  let s11 = s00;
  let s12 = s00;
  let s13 = s00;
  const end = a + (TOGETHER << 2);
  while (a < end) {
    const x = v128.load(a);
    const y = v128.load(a, TOGETHER << 2);
    const p = v128.load(b);
    const q = v128.load(b, TOGETHER << 2);
    const r = v128.load(b, TOGETHER << 3);
    const s = v128.load(b, 3 * (TOGETHER << 2));
    s00 = f32x4.add(s00, f32x4.mul(x, p));
    s01 = f32x4.add(s01, f32x4.mul(x, q));
    s02 = f32x4.add(s02, f32x4.mul(x, r));
    s03 = f32x4.add(s03, f32x4.mul(x, s));
    s10 = f32x4.add(s10, f32x4.mul(y, p));
    s11 = f32x4.add(s11, f32x4.mul(y, q));
    s12 = f32x4.add(s12, f32x4.mul(y, r));
    s13 = f32x4.add(s13, f32x4.mul(y, s));
    a += 16;
    b += 16;
  }
  addTo(matrix, size, i, j, s00);
  addTo(matrix, size, i, j + 1, s01);
  addTo(matrix, size, i, j + 2, s02);
  addTo(matrix, size, i, j + 3, s03);
  addTo(matrix, size, i + 1, j, s10);
  addTo(matrix, size, i + 1, j + 1, s11);
  addTo(matrix, size, i + 1, j + 2, s12);
  addTo(matrix, size, i + 1, j + 3, s13);
}

// @ts-ignore: decorator
@inline
function addTo(matrix: usize, size: usize, i: usize, j: usize, four: v128): void {
  if (i >= size || j >= size) return;
  const at = matrix + ((i * size + j) << 3);
  const low = <f64>f32x4.extract_lane(four, 0) + <f64>f32x4.extract_lane(four, 1);
  const high = <f64>f32x4.extract_lane(four, 2) + <f64>f32x4.extract_lane(four, 3);
  store<f64>(at, load<f64>(at) + (low + high));
}
