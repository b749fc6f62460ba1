/**
 * Rounding a layer's weights by least squares where each block of a row has a scale of its own (kernels/blocks.ts), in a Worker. What rounding.ts says
 * of J and of GPTQ holds, with values in their own measure instead of in steps, because a row has several.
 *
 * A block's scale is that of its largest value, and the stream that writes blocks finds it once more. So the largest value of each block stays
 * at the end of the range, and a block without such a value (all zeros, nearly) is left as it is: then what is written is what was chosen.
 */
import type { Kernels } from "../weights/kernels.ts";
import { Covariances, type Matrix, type ReadVectors } from "./covariances.ts";

export interface BlockTask extends ReadVectors {
  /** Rows of the matrix of weights. */
  readonly outputs: number;
  /** Values of a block; a divisor of `length`. */
  readonly block: number;
  /** Integers are from −high to high. */
  readonly high: number;
}

export interface InBlocks {
  /** Row by row. */
  readonly integers: Int8Array;
  /** Of each block. */
  readonly scales: Float32Array;
}

type Used = Pick<Kernels, "blocks" | "half" | "covariance" | "factor" | "losses" | "successive">;

/** Elements that kernels get at a time. */
const PIECE = 1 << 17;

/** The nearest integers of values in blocks, and the scales that blocks get. */
export function nearestInBlocks(
  values: Float32Array,
  { block, high }: Pick<BlockTask, "block" | "high">,
  kernels: Pick<Used, "blocks" | "half">,
): InBlocks {
  const integers = new Int8Array(values.length);
  const scales = new Float32Array(values.length / block);
  const some = Math.max(1, Math.floor(PIECE / block)) * block;
  for (let from = 0; from < values.length; from += some) {
    const [found, halves] = kernels.blocks(values.subarray(from, from + some), block, high);
    integers.set(found, from);
    scales.set(kernels.half(halves), from / block);
  }
  return { integers, scales };
}

/** Rounds a layer. `vectors`: what it reads, [count, vectorLength]; `weights`: row by row. J is the mean over rows; 0 where nothing is known of it. */
export function roundInBlocks(
  task: BlockTask,
  vectors: Float32Array,
  weights: Float32Array,
  kernels: Used,
): InBlocks & { readonly before: number; readonly after: number } {
  const { length, outputs } = task;
  const found = nearestInBlocks(weights, task, kernels);
  const fixed = largestOf(weights, found.integers, task);
  const loss = { before: 0, after: 0 };
  const rows = Math.max(1, Math.floor(PIECE / length));
  let from = 0;
  for (const matrix of vectors.length > 0 ? new Covariances(task, vectors, kernels).of(0) : []) {
    if (matrix.triangle.length > 0)
      for (let first = 0; first < outputs; first += rows)
        roundRows(task, matrix, from, [first, Math.min(outputs, first + rows)], weights, found, fixed, kernels, loss);
    from += matrix.size;
  }
  return { ...found, before: loss.before / outputs, after: loss.after / outputs };
}

/** Of each block, where the value lies that keeps its scale; −1 where none reaches the end of the range. */
function largestOf(weights: Float32Array, integers: Int8Array, { block, high }: BlockTask): Int32Array {
  return Int32Array.from({ length: weights.length / block }, (_, b) => {
    let largest = b * block;
    for (let at = largest + 1; at < (b + 1) * block; at++)
      if (Math.abs(weights[at]!) > Math.abs(weights[largest]!)) largest = at;
    return Math.abs(integers[largest]!) === high ? largest : -1;
  });
}

/** Rounds a part of some rows, and puts the integers of those that lose less into `found`. */
function roundRows(
  { length, block, high }: BlockTask,
  { size, order, triangle }: Matrix,
  from: number,
  [first, end]: readonly [number, number],
  weights: Float32Array,
  { integers, scales }: InBlocks,
  fixed: Int32Array,
  kernels: Used,
  loss: { before: number; after: number },
): void {
  const count = (end - first) * size;
  const [values, steps, nearest] = [new Float64Array(count), new Float64Array(count), new Float64Array(count)];
  const [lows, highs] = [new Float64Array(count).fill(-high), new Float64Array(count).fill(high)];
  const placeOf = (row: number, i: number) => row * length + from + order[i]!;
  for (let row = first, to = 0; row < end; row++)
    for (let i = 0; i < size; i++, to++) {
      const at = placeOf(row, i);
      const own = Math.floor(at / block);
      values[to] = weights[at]!;
      steps[to] = scales[own]!;
      nearest[to] = integers[at]! * scales[own]!;
      if (fixed[own] === at || fixed[own] === -1) lows[to] = highs[to] = integers[at]!;
    }
  const plain = kernels.losses(nearest, values, triangle, end - first);
  const [chosen, losses] = kernels.successive(values, steps, lows, highs, triangle, end - first);
  for (let row = first; row < end; row++) {
    const r = row - first;
    loss.before += plain[r]!;
    loss.after += Math.min(plain[r]!, losses[r]!);
    if (losses[r]! < plain[r]!) for (let i = 0; i < size; i++) integers[placeOf(row, i)] = chosen[r * size + i]!;
  }
}
