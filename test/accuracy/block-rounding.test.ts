/** Rounding in blocks: what the stream writes is what was chosen, J never rises, and a model gains by it. */
import { describe, expect, test } from "bun:test";
import { type BlockTask, nearestInBlocks, roundInBlocks } from "../../src/accuracy/block-rounding.ts";
import { loadKernels } from "../../src/weights/kernels.ts";
import { randomFloats } from "./support.ts";

const kernels = loadKernels();
const [OUTPUTS, LENGTH] = [6, 128];

const taskOf = (block: number, high: number): BlockTask => ({
  ...{ outputs: OUTPUTS, block, high, length: LENGTH, vectorLength: LENGTH },
  columns: [Int32Array.from({ length: LENGTH }, (_, k) => k)],
});

/** Values that hang together: each is mostly the one before. */
function related(count: number, seed: number): Float32Array {
  const values = randomFloats(count * LENGTH, seed);
  for (let i = 0; i < values.length; i++) if (i % LENGTH > 0) values[i] = 0.9 * values[i - 1]! + 0.3 * values[i]!;
  return values;
}

/** C with its damping, as rounding.ts describes it; naively. */
function covarianceOf(vectors: Float32Array): Float64Array {
  const count = vectors.length / LENGTH;
  const mean = new Float64Array(LENGTH);
  for (const [i, value] of vectors.entries()) mean[i % LENGTH]! += value / count;
  const matrix = new Float64Array(LENGTH * LENGTH);
  for (let v = 0; v < count; v++)
    for (let i = 0; i < LENGTH; i++)
      for (let j = 0; j < LENGTH; j++)
        matrix[i * LENGTH + j]! +=
          ((vectors[v * LENGTH + i]! - mean[i]!) * (vectors[v * LENGTH + j]! - mean[j]!)) / count;
  let trace = 0;
  for (let i = 0; i < LENGTH; i++) trace += matrix[i * LENGTH + i]!;
  for (let i = 0; i < LENGTH; i++) matrix[i * LENGTH + i]! += (0.01 * trace) / LENGTH;
  return matrix;
}

function lossOf(values: ArrayLike<number>, weights: Float32Array, matrix: Float64Array, row: number): number {
  const error = Float64Array.from({ length: LENGTH }, (_, k) => values[row * LENGTH + k]! - weights[row * LENGTH + k]!);
  let loss = 0;
  for (let i = 0; i < LENGTH; i++)
    for (let j = 0; j < LENGTH; j++) loss += error[i]! * matrix[i * LENGTH + j]! * error[j]!;
  return loss;
}

const valuesOf = ({ integers, scales }: { integers: Int8Array; scales: Float32Array }, block: number) =>
  Float32Array.from(integers, (integer, i) => integer * scales[Math.floor(i / block)]!);

/** Weights of quite different blocks: one of zeros, one of values so small that their scale is none of their own, one of a single value. */
function weightsOf(seed: number, block: number): Float32Array {
  const weights = randomFloats(OUTPUTS * LENGTH, seed).map((value, i) => value * 2 ** (Math.floor(i / block) % 5));
  weights.fill(0, 0, block);
  weights.fill(1e-9, block, 2 * block);
  weights.fill(0, 2 * block, 3 * block);
  weights[2 * block + 3] = -0.7;
  return weights;
}

describe.each([
  [32, 7],
  [64, 7],
  [32, 127],
  [128, 1],
])("blocks of %d within ±%d", (block, high) => {
  const task = taskOf(block, high);
  const weights = weightsOf(3, block);
  const vectors = related(600, 5);
  const found = roundInBlocks(task, vectors, weights, kernels);
  const nearest = nearestInBlocks(weights, task, kernels);

  test("the stream finds the same integers and scales in what was chosen", () => {
    const again = nearestInBlocks(valuesOf(found, block), task, kernels);
    expect(again.integers).toEqual(found.integers);
    // Of a block of zeros any scale will do.
    for (const [b, scale] of found.scales.entries())
      if (found.integers.subarray(b * block, (b + 1) * block).some((integer) => integer !== 0))
        expect(again.scales[b]).toBe(scale);
  });

  test("J is that of a naive sum, and of no row more than that of the nearest", () => {
    const matrix = covarianceOf(vectors);
    const rows = Array.from({ length: OUTPUTS }, (_, row) => row);
    const after = rows.map((row) => lossOf(valuesOf(found, block), weights, matrix, row));
    const before = rows.map((row) => lossOf(valuesOf(nearest, block), weights, matrix, row));
    for (const row of rows) expect(after[row]!).toBeLessThanOrEqual(before[row]! * (1 + 1e-5));
    const mean = (list: number[]) => list.reduce((a, b) => a + b, 0) / OUTPUTS;
    expect(found.before / mean(before)).toBeCloseTo(1, 4);
    expect(found.after / mean(after)).toBeCloseTo(1, 4);
    expect(found.after).toBeLessThan(0.8 * found.before);
  });

  test("of values that do not hang together the nearest integers are best", () => {
    // Each vector is ± one axis: the mean is 0, and C diagonal.
    const axes = new Float32Array(2 * LENGTH * LENGTH);
    for (let k = 0; k < LENGTH; k++) {
      axes[2 * k * LENGTH + k] = 1 + k / 50;
      axes[(2 * k + 1) * LENGTH + k] = -1 - k / 50;
    }
    expect(roundInBlocks(task, axes, weights, kernels).integers).toEqual(nearest.integers);
  });

  test("without vectors they are the nearest, too", () => {
    expect(roundInBlocks(task, new Float32Array(0), weights, kernels)).toEqual({ ...nearest, before: 0, after: 0 });
  });
});
