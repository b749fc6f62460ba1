/**
 * Rounding a layer's weights by least squares, in a Worker: J = eᵀ C e for the error e of a row, C the covariance of what the row reads, so
 * without what a bias takes back. C gets a hundredth of its mean diagonal added, for what the samples did not show.
 *
 * Of each row the best of these is kept: the nearest integers, those of GPTQ (Frantar et al. 2022), improved step by step, and for rows of few
 * values the best of all ways to round up or down. With `shrink` scales are tried that clip the row's largest values, too.
 */

import { loadKernels } from "../weights/kernels.ts";
import type { LayerFunctions } from "../weights/layer-kernels.ts";
import { Covariances, type Matrix, type ReadVectors } from "./covariances.ts";

/** A layer as plain data. */
export interface RoundTask extends ReadVectors {
  /** For messages and their order. */
  readonly name: string;
  readonly outputs: number;
  readonly groups: number;
  /** Rows lie one after the other; else values of all rows lie together. */
  readonly byRows: boolean;
  readonly low: number;
  readonly high: number;
  /** One for all rows, or one each. */
  readonly scale: Float32Array;
  readonly zeroPoint: Float64Array;
  /** Smaller scales are tried. */
  readonly shrink: boolean;
}

export interface Rounded {
  /** In the order of the weights, counted as the quantizer counts. */
  readonly integers: Int8Array | Uint8Array;
  readonly scale: Float32Array;
  /** Mean over the channels of J: of the nearest integers, and now. */
  readonly before: number;
  readonly after: number;
  /** How many channels have a smaller scale, and the smallest share. */
  readonly shrunk: number;
  readonly least: number;
}

/** Values of rows that a kernel gets at a time. */
const CHUNK = 1 << 18;
/** After GPTQ hardly anything moves any more; in rows of more values than LONG that is not worth the look. */
const SWEEPS = 4;
const LONG = 64;
/** Rows so short are rounded in all ways: a 3×3 window. */
const SHORT = 9;
/** Smaller scales have to lose less than this share to be worth the time; with 8 bits few channels do. */
const WORTH_SHRINKING = 0.9;
/** Scales that are tried, as shares of that of the largest value. */
const RATIOS = Float64Array.from({ length: 20 }, (_, i) => 0.975 - 0.025 * i);

/** Rounds a layer. `vectors`: what it reads, [count, vectorLength]; `weights`: as they lie. `kernels` may be those of other layers, too. */
export function roundLayer(
  task: RoundTask,
  vectors: Float32Array,
  weights: Float32Array,
  kernels: LayerFunctions = loadKernels(),
): Rounded {
  return new Rounder(task, vectors, weights, kernels).run();
}

/** Integers of rows and what they lose, in steps of the rows' scales. */
interface Choice {
  readonly integers: Float64Array;
  readonly losses: Float64Array;
}

/** A row with a smaller scale: which share, what it loses in squares of the step without it, and where it is among the choices. */
interface Smaller {
  readonly ratio: number;
  readonly loss: number;
  readonly choices: readonly Choice[];
  readonly at: number;
}

class Rounder {
  private readonly covariances: Covariances;
  private readonly integers: Int8Array | Uint8Array;
  private readonly ratios: Float64Array;
  private before = 0;
  private after = 0;

  constructor(
    private readonly task: RoundTask,
    private readonly vectors: Float32Array,
    private readonly weights: Float32Array,
    private readonly kernels: LayerFunctions,
  ) {
    this.integers = task.low < 0 ? new Int8Array(weights.length) : new Uint8Array(weights.length);
    this.ratios = new Float64Array(task.scale.length).fill(1);
    this.covariances = new Covariances(task, vectors, this.kernels);
  }

  run(): Rounded {
    if (this.vectors.length === 0) return this.withoutVectors();
    const { groups, outputs, scale, shrink } = this.task;
    const each = outputs / groups;
    const perTensor = scale.length === 1;
    for (let group = 0; group < groups; group++) {
      const matrices = this.covariances.of(group);
      const rows = Math.max(1, Math.floor(CHUNK / this.task.length));
      // With one scale for all it has to be chosen before any row is rounded.
      if (perTensor && shrink && groups === 1) this.shrinkAll(matrices);
      for (let first = 0; first < each; first += rows)
        this.roundRows(matrices, rowsFrom(group * each + first, Math.min(rows, each - first)), shrink && !perTensor);
    }
    return this.rounded();
  }

  private rounded(): Rounded {
    const { outputs, scale } = this.task;
    const shrunk = this.ratios.filter((ratio) => ratio < 1);
    return {
      integers: this.integers,
      scale: scale.map((value, i) => value * this.ratios[i]!),
      before: this.before / outputs,
      after: this.after / outputs,
      shrunk: shrunk.length,
      least: shrunk.reduce((least, ratio) => Math.min(least, ratio), 1),
    };
  }

  /** Where nothing is known of what is read, every value counts alike: the nearest integers, by the scales that lose least. */
  private withoutVectors(): Rounded {
    const { outputs, length, scale } = this.task;
    const matrix = { size: length, order: Int32Array.from({ length }, (_, k) => k) };
    const weights = new Float64Array(length).fill(1);
    const tried = Float64Array.of(1, ...RATIOS);
    const rows = Math.max(1, Math.floor(CHUNK / length));
    const losses: Float64Array[] = [];
    for (let first = 0; first < outputs; first += rows) {
      const some = rowsFrom(first, Math.min(rows, outputs - first));
      const found = this.kernels.shrunk(this.stepsOf(matrix, 0, some), ...this.limitsOf(some), weights, tried);
      for (let r = 0; r < some.length; r++) losses.push(found.slice(r * tried.length, (r + 1) * tried.length));
    }
    const sum = losses.reduce((a, b) => a.map((each, i) => each + b[i]!));
    const best = losses.map((each) => indexOfLeast(scale.length === 1 ? sum : each));
    for (let r = 0; r < outputs; r++) this.ratios[scale.length === 1 ? 0 : r] = tried[best[r]!]!;
    const told = (row: number, at: number) => losses[row]![at]! * scale[scale.length === 1 ? 0 : row]! ** 2;
    for (let row = 0; row < outputs; row++) {
      this.before += told(row, 0);
      this.after += told(row, best[row]!);
      const some = Int32Array.of(row);
      const integers = nearestOf(this.stepsOf(matrix, 0, some), ...this.limitsOf(some));
      this.keep([matrix], [{ integers }], row, 0);
    }
    return this.rounded();
  }

  /** Values of rows in steps of their scales, in the order of a part's matrix. */
  private stepsOf({ size, order }: Pick<Matrix, "size" | "order">, from: number, rows: Int32Array): Float64Array {
    const { outputs, length, byRows, scale } = this.task;
    const steps = new Float64Array(rows.length * size);
    for (let r = 0; r < rows.length; r++) {
      const row = rows[r]!;
      const each = scale[scale.length === 1 ? 0 : row]! * this.ratios[scale.length === 1 ? 0 : row]!;
      for (let i = 0; i < size; i++) {
        const k = from + order[i]!;
        steps[r * size + i] = this.weights[byRows ? row * length + k : k * outputs + row]! / each;
      }
    }
    return steps;
  }

  /** Least and largest integers of rows, counted from their zero points. */
  private limitsOf(rows: Int32Array): [Float64Array, Float64Array] {
    const { low, high, zeroPoint } = this.task;
    const [lows, highs] = [new Float64Array(rows.length), new Float64Array(rows.length)];
    for (let r = 0; r < rows.length; r++) {
      const zero = zeroPoint[zeroPoint.length === 1 ? 0 : rows[r]!]!;
      lows[r] = low - zero;
      highs[r] = high - zero;
    }
    return [lows, highs];
  }

  /** One smaller scale for all rows, where that loses less of the nearest integers. */
  private shrinkAll(matrices: readonly Matrix[]): void {
    const { outputs } = this.task;
    const tried = Float64Array.of(1, ...RATIOS);
    const losses = new Float64Array(tried.length);
    const rows = Math.max(1, Math.floor(CHUNK / this.task.length));
    for (let first = 0; first < outputs; first += rows) {
      const found = this.shrunkLosses(matrices, rowsFrom(first, Math.min(rows, outputs - first)), tried);
      for (let i = 0; i < found.length; i++) losses[i % tried.length]! += found[i]!;
    }
    this.ratios[0] = tried[indexOfLeast(losses)]!;
  }

  /** By row and ratio: what the nearest integers lose by the diagonal of C. */
  private shrunkLosses(matrices: readonly Matrix[], rows: Int32Array, ratios: Float64Array): Float64Array {
    const [lows, highs] = this.limitsOf(rows);
    const sum = new Float64Array(rows.length * ratios.length);
    let from = 0;
    for (const matrix of matrices) {
      const { size, covariance } = matrix;
      const diagonal = Float64Array.from({ length: size }, (_, k) => covariance[k * size + k]!);
      const found = this.kernels.shrunk(this.stepsOf(matrix, from, rows), lows, highs, diagonal, ratios);
      for (let i = 0; i < found.length; i++) sum[i]! += found[i]!;
      from += size;
    }
    return sum;
  }

  private roundRows(matrices: readonly Matrix[], rows: Int32Array, shrink: boolean): void {
    const { scale } = this.task;
    const { choices: plain, nearest } = this.chooseFrom(matrices, rows);
    const smaller = shrink ? this.smallerOf(matrices, rows) : new Map<number, Smaller>();
    for (const [r, row] of rows.entries()) {
      const channel = scale.length === 1 ? 0 : row;
      const step = scale[channel]! * (scale.length === 1 ? this.ratios[0]! : 1);
      const loss = plain.reduce((sum, { losses }) => sum + losses[r]!, 0) * step ** 2;
      const other = smaller.get(row);
      const otherLoss = other ? other.loss * step ** 2 : Number.POSITIVE_INFINITY;
      if (other && otherLoss < loss) this.ratios[channel] = other.ratio;
      this.before += nearest[r]!;
      this.after += Math.min(loss, otherLoss);
      if (other && otherLoss < loss) this.keep(matrices, other.choices, row, other.at);
      else this.keep(matrices, plain, row, r);
    }
  }

  /** Rows whose nearest integers lose much less with a smaller scale, rounded with that. */
  private smallerOf(matrices: readonly Matrix[], rows: Int32Array): Map<number, Smaller> {
    const tried = Float64Array.of(1, ...RATIOS);
    const found = this.shrunkLosses(matrices, rows, tried);
    const wanted = rows.filter((row, r) => {
      const losses = found.subarray(r * tried.length, (r + 1) * tried.length);
      const best = indexOfLeast(losses);
      if (losses[best]! > WORTH_SHRINKING * losses[0]!) return false;
      this.ratios[row] = tried[best]!;
      return true;
    });
    if (wanted.length === 0) return new Map();
    const choices = this.choose(matrices, wanted);
    const smaller = Array.from(wanted, (row, at): [number, Smaller] => {
      const ratio = this.ratios[row]!;
      const loss = choices.reduce((sum, { losses }) => sum + losses[at]!, 0) * ratio ** 2;
      return [row, { ratio, loss, choices, at }];
    });
    for (const row of wanted) this.ratios[row] = 1;
    return new Map(smaller);
  }

  /** With the scales of the largest values: also what the nearest integers of each row lose with those. */
  private chooseFrom(matrices: readonly Matrix[], rows: Int32Array) {
    const { scale } = this.task;
    const nearest = new Float64Array(rows.length);
    const choices = this.choose(matrices, rows, (losses) => {
      for (const [r, row] of rows.entries()) nearest[r]! += losses[r]! * scale[scale.length === 1 ? 0 : row]! ** 2;
    });
    return { choices, nearest };
  }

  /** Of each part of the rows the integers of least J. `onNearest` is told what the nearest ones lose; without it they are no choice. */
  private choose(matrices: readonly Matrix[], rows: Int32Array, onNearest?: (losses: Float64Array) => void): Choice[] {
    const [lows, highs] = this.limitsOf(rows);
    let from = 0;
    return matrices.map(({ size, order, covariance, triangle }) => {
      const steps = this.stepsOf({ size, order }, from, rows);
      from += size;
      const improved = (start: Float64Array, sweeps = SWEEPS): Choice => {
        const [integers, losses] = this.kernels.descend(start, steps, lows, highs, covariance, sweeps);
        return { integers, losses };
      };
      const found: Choice[] = [];
      const nearest = nearestOf(steps, lows, highs);
      if (onNearest) {
        const plain =
          triangle.length > 0
            ? { integers: nearest, losses: this.kernels.losses(nearest, steps, triangle, rows.length) }
            : improved(nearest, 0);
        onNearest(plain.losses);
        found.push(plain);
      }
      // Measured: those from GPTQ lose less in all rows, so the others are not worth a third of the time.
      if (triangle.length === 0) found.push(improved(nearest));
      else {
        const [integers, losses] = this.kernels.successive(steps, NO_STEPS, lows, highs, triangle, rows.length);
        found.push(size > LONG ? { integers, losses } : improved(integers));
      }
      if (size <= SHORT) found.push(improved(this.kernels.everyway(steps, lows, highs, covariance)));
      return found.reduce((best, other) => better(best, other, size));
    });
  }

  private keep(
    matrices: readonly Pick<Matrix, "size" | "order">[],
    choices: readonly Pick<Choice, "integers">[],
    row: number,
    r: number,
  ): void {
    const { outputs, length, byRows, zeroPoint } = this.task;
    const zero = zeroPoint[zeroPoint.length === 1 ? 0 : row]!;
    let from = 0;
    for (const [part, { size, order }] of matrices.entries()) {
      const { integers } = choices[part]!;
      for (let i = 0; i < size; i++) {
        const k = from + order[i]!;
        this.integers[byRows ? row * length + k : k * outputs + row] = integers[r * size + i]! + zero;
      }
      from += size;
    }
  }
}

/** Row by row the choice of less J; the first of equals. */
function better(a: Choice, b: Choice, size: number): Choice {
  const integers = a.integers.slice();
  const losses = a.losses.slice();
  for (let r = 0; r < losses.length; r++) {
    if (!(b.losses[r]! < losses[r]!)) continue;
    losses[r] = b.losses[r]!;
    integers.set(b.integers.subarray(r * size, (r + 1) * size), r * size);
  }
  return { integers, losses };
}

function nearestOf(steps: Float64Array, lows: Float64Array, highs: Float64Array): Float64Array {
  const size = steps.length / lows.length;
  const nearest = new Float64Array(steps.length);
  for (let r = 0; r < lows.length; r++) {
    const [low, high] = [lows[r]!, highs[r]!];
    for (let i = r * size; i < (r + 1) * size; i++) nearest[i] = Math.min(Math.max(Math.round(steps[i]!), low), high);
  }
  return nearest;
}

/** Values are in steps already. */
const NO_STEPS = new Float64Array(0);

function rowsFrom(first: number, count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, r) => first + r);
}

function indexOfLeast(values: Float64Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! < values[best]!) best = i;
  return best;
}
