/** How what a layer's rows read varies together: C of each group of rows, and its factor, for rounding (rounding.ts). */
import type { LayerFunctions } from "../weights/layer-kernels.ts";

/** What the rows of a layer read of a vector. */
export interface ReadVectors {
  /** Values of a row. */
  readonly length: number;
  /** For each group, which values of a vector its rows read (`columnsOf`). */
  readonly columns: readonly Int32Array[];
  /** Values of a vector. */
  readonly vectorLength: number;
}

/** C of a part of a row: in an order of its own, as it is worked on, and its factor. */
export interface Matrix {
  readonly size: number;
  readonly covariance: Float64Array;
  /** Empty where C has none. */
  readonly triangle: Float64Array;
  /** By place in `covariance`: which value of the part. */
  readonly order: Int32Array;
}

/** Values of a row whose covariance is looked at together; a longer row is cut. */
export const MOST_COLUMNS = 1536;
const DAMPING = 0.01;
/** Groups whose values are put together at a time: those of depthwise layers lie side by side, and a line of a core's cache has so many. */
const NEIGHBOURS = 16;

export class Covariances {
  /** What the groups from `first` on read: [groups, vectors, values of a row]. */
  private own = new Float32Array(0);
  private first = 0;

  /** `vectors`: [count, vectorLength]. */
  constructor(
    private readonly task: ReadVectors,
    private readonly vectors: Float32Array,
    private readonly kernels: Pick<LayerFunctions, "covariance" | "factor">,
  ) {}

  /** C of a group, in as many parts as its size demands. */
  of(group: number): Matrix[] {
    const { length } = this.task;
    const values = this.valuesOf(group);
    const parts = Math.ceil(length / MOST_COLUMNS);
    return Array.from({ length: parts }, (_, part) => {
      const from = Math.floor((part * length) / parts);
      const to = Math.floor(((part + 1) * length) / parts);
      return this.matrixOf(parts === 1 ? values : columnsFrom(values, length, from, to), to - from);
    });
  }

  /** What a group's rows read of each vector, in the order of a row. */
  private valuesOf(group: number): Float32Array {
    const { length, columns, vectorLength } = this.task;
    if (length === vectorLength) return this.vectors;
    const count = this.vectors.length / vectorLength;
    const each = count * length;
    if (this.own.length === 0 || group < this.first || group >= this.first + NEIGHBOURS) {
      const some = columns.slice(group, group + NEIGHBOURS);
      this.first = group;
      if (this.own.length < some.length * each) this.own = new Float32Array(some.length * each);
      regroup(this.vectors, vectorLength, some, length, this.own);
    }
    const from = (group - this.first) * each;
    return this.own.subarray(from, from + each);
  }

  private matrixOf(values: Float32Array, size: number): Matrix {
    const covariance = this.kernels.covariance(values, size);
    let trace = 0;
    for (let k = 0; k < size; k++) trace += covariance[k * size + k]!;
    // Nothing varies: then any error is as good as its square.
    const damping = trace > 0 && Number.isFinite(trace) ? (DAMPING * trace) / size : 1;
    if (damping === 1) covariance.fill(0);
    const diagonal = new Float64Array(size);
    for (let k = 0; k < size; k++) diagonal[k] = covariance[k * size + k]! += damping;
    // What varies most is rounded first, and GPTQ's kernel begins at the end.
    const order = Int32Array.from({ length: size }, (_, k) => k).sort((a, b) => diagonal[a]! - diagonal[b]! || b - a);
    const sorted = new Float64Array(size * size);
    for (let i = 0; i < size; i++) {
      const from = order[i]! * size;
      const to = i * size;
      for (let j = 0; j < size; j++) sorted[to + j] = covariance[from + order[j]!]!;
    }
    return { size, covariance: sorted, triangle: this.kernels.factor(sorted, size), order };
  }
}

/** What some groups read of each vector, put into `own`: [groups, vectors, values of a row]. Flat lists only: this is done for every value that was taken. */
function regroup(
  vectors: Float32Array,
  vectorLength: number,
  columns: readonly Int32Array[],
  length: number,
  own: Float32Array,
): void {
  const groups = columns.length;
  const each = (vectors.length / vectorLength) * length;
  const places = new Int32Array(length * groups);
  for (let k = 0; k < length; k++) for (let g = 0; g < groups; g++) places[k * groups + g] = columns[g]![k]!;
  for (let from = 0, to = 0; from < vectors.length; from += vectorLength, to += length)
    for (let k = 0; k < length; k++)
      for (let g = 0; g < groups; g++) own[g * each + to + k] = vectors[from + places[k * groups + g]!]!;
}

/** Some columns of [rows, length]. */
function columnsFrom(values: Float32Array, length: number, from: number, to: number): Float32Array {
  const rows = values.length / length;
  const some = new Float32Array(rows * (to - from));
  for (let row = 0; row < rows; row++)
    some.set(values.subarray(row * length + from, row * length + to), row * (to - from));
  return some;
}
