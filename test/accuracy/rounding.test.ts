/** Rounding by least squares: kernels held to naive code in float64, and what holds whatever the numbers are. */
import { describe, expect, test } from "bun:test";
import { type RoundTask, roundLayer } from "../../src/accuracy/rounding.ts";
import { loadKernels } from "../../src/weights/kernels.ts";
import { generator, randomFloats } from "./support.ts";

const kernels = loadKernels();
const doubles = (length: number, seed: number, scale = 1) => Float64Array.from(randomFloats(length, seed, scale));

/** Positive definite, with strong correlations. */
function matrixOf(size: number, seed: number): Float64Array {
  const a = doubles(size * 2 * size, seed);
  const matrix = new Float64Array(size * size);
  for (let i = 0; i < size; i++)
    for (let j = 0; j < size; j++) {
      for (let k = 0; k < 2 * size; k++)
        matrix[i * size + j]! += (a[i * 2 * size + k]! + 1) * (a[j * 2 * size + k]! + 1);
      if (i === j) matrix[i * size + j]! += 0.05;
    }
  return matrix;
}

function lossOf(integers: ArrayLike<number>, values: ArrayLike<number>, matrix: Float64Array, at = 0): number {
  const size = Math.sqrt(matrix.length);
  let loss = 0;
  for (let i = 0; i < size; i++)
    for (let j = 0; j < size; j++)
      loss += (integers[at + i]! - values[at + i]!) * matrix[i * size + j]! * (integers[at + j]! - values[at + j]!);
  return loss;
}

const NO_STEPS = new Float64Array(0);
const fill = (rows: number, value: number) => new Float64Array(rows).fill(value);

describe("kernels", () => {
  test.each([
    [1, 1, 5],
    [3, 2, 4],
    [2, 7, 9],
  ])("sums of columns: %d groups of %d rows of %d", (groups, rows, columns) => {
    const values = randomFloats(groups * rows * columns, 3);
    const sums = new Float64Array(groups * columns);
    for (const [i, value] of values.entries())
      sums[Math.floor(i / (rows * columns)) * columns + (i % columns)]! += value;
    expect([...kernels.columnsums(values, groups, columns)]).toEqual([...sums]);
  });

  test.each([
    [1, 3],
    [5, 1],
    [64, 4],
    [70, 7],
    [200, 18],
  ])("covariance of %d rows of %d", (rows, columns) => {
    const values = randomFloats(rows * columns, 4).map((value, i) => value + (i % columns));
    const means = Array.from({ length: columns }, (_, c) => {
      let sum = 0;
      for (let r = 0; r < rows; r++) sum += values[r * columns + c]!;
      return sum / rows;
    });
    const found = kernels.covariance(values, columns);
    for (let i = 0; i < columns; i++)
      for (let j = 0; j < columns; j++) {
        let sum = 0;
        for (let r = 0; r < rows; r++)
          sum += (values[r * columns + i]! - means[i]!) * (values[r * columns + j]! - means[j]!);
        expect(found[i * columns + j]!).toBeCloseTo(sum / rows, 6);
      }
  });

  test.each([1, 2, 4, 5, 7, 16, 23])("the factor of %d×%d: TᵀT is the matrix", (size) => {
    const matrix = matrixOf(size, size);
    const triangle = kernels.factor(matrix, size);
    for (let i = 0; i < size; i++)
      for (let j = 0; j < size; j++) {
        if (j < i) expect(triangle[i * size + j]!).toBe(0);
        let sum = 0;
        for (let k = 0; k < size; k++) sum += triangle[k * size + i]! * triangle[k * size + j]!;
        expect(sum / matrix[i * size + i]!).toBeCloseTo(matrix[i * size + j]! / matrix[i * size + i]!, 10);
      }
  });

  test("a matrix that is not positive definite has no factor", () => {
    expect(kernels.factor(Float64Array.of(1, 2, 2, 1), 2).length).toBe(0);
  });

  test("GPTQ of a diagonal matrix are the nearest integers within the limits", () => {
    const [rows, size] = [5, 11];
    const values = doubles(rows * size, 8, 9);
    const diagonal = new Float64Array(size * size);
    for (let i = 0; i < size; i++) diagonal[i * size + i] = 0.5 + i;
    const [found] = kernels.successive(
      values,
      NO_STEPS,
      fill(rows, -7),
      fill(rows, 7),
      kernels.factor(diagonal, size),
      rows,
    );
    expect([...found]).toEqual([...values].map((value) => Math.max(-7, Math.min(7, Math.round(value)))));
  });

  test.each([2, 5, 12])("GPTQ of %d values: each is best after those before, if those to come were free", (size) => {
    const [rows, matrix] = [6, matrixOf(size, size + 20)];
    const values = doubles(rows * size, size, 7);
    const [found] = kernels.successive(
      values,
      NO_STEPS,
      fill(rows, -7),
      fill(rows, 7),
      kernels.factor(matrix, size),
      rows,
    );
    for (let r = 0; r < rows; r++)
      for (let i = size - 1; i >= 0; i--) {
        // The least J over the values before i, by solving for them: Schur complement, naively.
        const conditional = (integer: number) =>
          leastOf(matrix, size, i, [...found.slice(r * size, (r + 1) * size)], integer, [
            ...values.slice(r * size, (r + 1) * size),
          ]);
        const own = conditional(found[r * size + i]!);
        for (const other of [-1, 1]) {
          const integer = found[r * size + i]! + other;
          if (integer >= -7 && integer <= 7) expect(own).toBeLessThanOrEqual(conditional(integer) + 1e-9);
        }
      }
  });

  test.each([1, 7, 8, 19])("J of %d rows, by the factor and told by GPTQ, is that by the matrix", (rows) => {
    const [size, matrix] = [13, matrixOf(13, 31)];
    const triangle = kernels.factor(matrix, size);
    const values = doubles(rows * size, 12, 7);
    const nearest = values.map(Math.round);
    const plain = kernels.losses(nearest, values, triangle, rows);
    const [found, told] = kernels.successive(values, NO_STEPS, fill(rows, -7), fill(rows, 7), triangle, rows);
    for (let r = 0; r < rows; r++) {
      expect(plain[r]! / lossOf(nearest, values, matrix, r * size)).toBeCloseTo(1, 9);
      expect(told[r]! / lossOf(found, values, matrix, r * size)).toBeCloseTo(1, 9);
    }
  });

  test("descent never raises J, tells it, stays within the limits, and ends where no step helps", () => {
    for (const size of [3, 8, 17]) {
      const [rows, matrix] = [7, matrixOf(size, size)];
      const values = doubles(rows * size, size + 1, 7);
      const start = values.map((value) => Math.max(-7, Math.min(7, Math.round(value))));
      const [integers, losses] = kernels.descend(start, values, fill(rows, -7), fill(rows, 7), matrix, 100);
      const [same, before] = kernels.descend(start, values, fill(rows, -7), fill(rows, 7), matrix, 0);
      expect([...same]).toEqual([...start]);
      for (let r = 0; r < rows; r++) {
        const at = r * size;
        expect(before[r]! / lossOf(start, values, matrix, at)).toBeCloseTo(1, 9);
        expect(losses[r]! / lossOf(integers, values, matrix, at)).toBeCloseTo(1, 9);
        expect(losses[r]!).toBeLessThanOrEqual(before[r]!);
        for (let k = 0; k < size; k++) {
          expect(Math.abs(integers[at + k]!)).toBeLessThanOrEqual(7);
          for (const step of [-1, 1]) {
            const tried = integers.slice();
            tried[at + k]! += step;
            if (Math.abs(tried[at + k]!) <= 7)
              expect(lossOf(tried, values, matrix, at)).toBeGreaterThanOrEqual(losses[r]! * (1 - 1e-9));
          }
        }
      }
      expect(losses.reduce((a, b) => a + b)).toBeLessThan(before.reduce((a, b) => a + b));
    }
  });

  test("every way: the least J of all roundings up and down, never above descent among them", () => {
    for (const size of [1, 4, 9]) {
      const [rows, matrix] = [4, matrixOf(size, size + 5)];
      const values = doubles(rows * size, size + 2, 8.5);
      const found = kernels.everyway(values, fill(rows, -8), fill(rows, 7), matrix);
      for (let r = 0; r < rows; r++) {
        const own = [...values.slice(r * size, (r + 1) * size)];
        let least = Number.POSITIVE_INFINITY;
        for (let way = 0; way < 2 ** size; way++) {
          const tried = own.map((value, k) => Math.max(-8, Math.min(7, Math.floor(value) + ((way >> k) & 1))));
          least = Math.min(least, lossOf(tried, own, matrix));
        }
        expect(lossOf(found.slice(r * size), own, matrix)).toBeCloseTo(least, 8);
      }
    }
  });

  test("what smaller scales lose", () => {
    const values = doubles(10, 6, 7);
    const weights = doubles(5, 7).map(Math.abs);
    const ratios = Float64Array.of(1, 0.8, 0.5);
    const found = kernels.shrunk(values, fill(2, -7), fill(2, 7), weights, ratios);
    for (let r = 0; r < 2; r++)
      for (const [t, ratio] of ratios.entries()) {
        let sum = 0;
        for (let k = 0; k < 5; k++) {
          const value = values[r * 5 + k]!;
          const integer = Math.max(-7, Math.min(7, Math.round(value / ratio)));
          sum += weights[k]! * (integer * ratio - value) ** 2;
        }
        expect(found[r * 3 + t]!).toBeCloseTo(sum, 10);
      }
  });
});

/** J with value i set to `integer`, those above i as they are, and those below i free: minimized by Gauss elimination. */
function leastOf(
  matrix: Float64Array,
  size: number,
  i: number,
  integers: number[],
  integer: number,
  values: number[],
): number {
  const errors = integers.map((each, k) => (k === i ? integer : each) - values[k]!);
  const rows = Array.from({ length: i }, (_, a) => {
    let right = 0;
    for (let k = i; k < size; k++) right -= matrix[a * size + k]! * errors[k]!;
    return [...matrix.slice(a * size, a * size + i), right];
  });
  for (let p = 0; p < i; p++) {
    for (let a = 0; a < i; a++) {
      if (a === p) continue;
      const by = rows[a]![p]! / rows[p]![p]!;
      for (let k = p; k <= i; k++) rows[a]![k]! -= by * rows[p]![k]!;
    }
  }
  for (let a = 0; a < i; a++) errors[a] = rows[a]![i]! / rows[a]![a]!;
  return lossOf(errors, new Float64Array(size), matrix);
}

/** A layer of O rows of K values that reads correlated vectors. */
function layer(outputs: number, length: number, more: Partial<RoundTask> = {}) {
  const { byRows = true } = more;
  const groups = byRows ? 1 : outputs;
  const weights = randomFloats(outputs * length, 31);
  const next = generator(77);
  const vectorLength = byRows ? length : outputs * length;
  const vectors = Float32Array.from({ length: 300 * vectorLength }, () => 0);
  for (let v = 0; v < 300; v++) {
    const common = next();
    for (let k = 0; k < vectorLength; k++) vectors[v * vectorLength + k] = common + 0.3 * next() + 0.5;
  }
  const scale = new Float32Array(outputs);
  for (let o = 0; o < outputs; o++)
    for (let k = 0; k < length; k++)
      scale[o] = Math.max(scale[o]!, Math.abs(weights[byRows ? o * length + k : k * outputs + o]!) / 7);
  const task: RoundTask = {
    name: "layer",
    ...{ outputs, length, groups, byRows, vectorLength, scale },
    columns: Array.from({ length: groups }, (_, group) =>
      Int32Array.from({ length }, (_, k) => (byRows ? k : k * outputs + group)),
    ),
    low: -7,
    high: 7,
    zeroPoint: new Float64Array(outputs),
    shrink: false,
    ...more,
  };
  return { task, vectors, weights };
}

describe("a layer", () => {
  test.each([
    ["rows", {}],
    ["taps", { byRows: false }],
    ["rows, smaller scales", { shrink: true }],
    ["taps, smaller scales", { byRows: false, shrink: true }],
    ["rows, uint4 with zero points", { low: 0, high: 15, zeroPoint: new Float64Array(6).fill(8) }],
  ] as [string, Partial<RoundTask>][])("%s: less is lost, and what is told of it is true", (_, more) => {
    const { task, vectors, weights } = layer(6, 9, more);
    const found = roundLayer(task, vectors, weights);
    expect(found.after).toBeLessThan(found.before);
    const lossOfAll = (integers: ArrayLike<number>, scale: Float32Array) => {
      let loss = 0;
      for (let o = 0; o < task.outputs; o++) {
        const columns = task.columns[task.byRows ? 0 : o]!;
        const errors = Array.from(columns, (_, k) => {
          const at = task.byRows ? o * task.length + k : k * task.outputs + o;
          return (integers[at]! - task.zeroPoint[o]!) * scale[o]! - weights[at]!;
        });
        const results = Array.from({ length: 300 }, (_, v) =>
          errors.reduce((sum, error, k) => sum + error * vectors[v * task.vectorLength + columns[k]!]!, 0),
        );
        const mean = results.reduce((a, b) => a + b) / 300;
        loss += results.reduce((sum, each) => sum + (each - mean) ** 2, 0) / 300;
      }
      return loss / task.outputs;
    };
    const nearest = weights.map((value, at) => {
      const o = task.byRows ? Math.floor(at / task.length) : at % task.outputs;
      return Math.max(task.low, Math.min(task.high, Math.round(value / task.scale[o]!) + task.zeroPoint[o]!));
    });
    // The damping counts a little, too.
    const [before, after] = [lossOfAll(nearest, task.scale), lossOfAll(found.integers, found.scale)];
    expect(after).toBeLessThan(before);
    expect(found.before).toBeGreaterThan(before);
    expect(found.before / before).toBeLessThan(1.5);
    for (const integer of found.integers) {
      expect(integer).toBeGreaterThanOrEqual(task.low);
      expect(integer).toBeLessThanOrEqual(task.high);
    }
    if (!task.shrink) expect([...found.scale]).toEqual([...task.scale]);
  });

  test("one scale for all rows: a smaller one is for all", () => {
    const scale = Float32Array.of(1 / 7);
    const { task, vectors, weights } = layer(6, 9, { scale, zeroPoint: new Float64Array(1), shrink: true });
    const spiked = weights.map((value, i) => (i === 5 ? 1 : value / 3));
    const found = roundLayer(task, vectors, spiked);
    expect(found.scale.length).toBe(1);
    expect(found.after).toBeLessThan(found.before);
  });

  test("vectors that do not vary leave the nearest integers", () => {
    const { task, vectors, weights } = layer(4, 8);
    const found = roundLayer(task, vectors.fill(1), weights);
    expect([...found.integers]).toEqual(
      [...weights].map((value, at) => Math.round(value / task.scale[Math.floor(at / 8)]!) + 0),
    );
  });
});
