/** Kernels for what layers read and how their weights are rounded (kernels/moments.ts, kernels/rounding.ts): lists in, fresh lists out. */
import type { Root as KernelFunctions } from "../../build/kernels.d.ts";
import { KernelMemory } from "./kernel-memory.ts";

/** The functions of kernels.wit that this file calls. */
export type LayerFunctions = Pick<
  KernelFunctions,
  "columnsums" | "windowsums" | "covariance" | "factor" | "successive" | "losses" | "descend" | "everyway" | "shrunk"
>;

export class LayerKernels extends KernelMemory implements LayerFunctions {
  /** Sums of the columns of each group of [groups, rows, columns]. */
  columnsums(values: Float32Array, groups: number, columns: number): Float64Array {
    return this.scoped(() => this.doubles("columnsums", ...this.words(values), groups, columns));
  }

  /** What each tap of a window reads of some rows of a picture, added up: [taps down, taps across, channels]. */
  windowsums(values: Float32Array, down: Int32Array, across: Int32Array, channels: number, top: number): Float64Array {
    const lists = [values, down, across];
    return this.scoped(() => this.doubles("windowsums", ...lists.flatMap((list) => this.words(list)), channels, top));
  }

  /** Covariance of the columns of [rows, columns]. */
  covariance(values: Float32Array, columns: number): Float64Array {
    return this.scoped(() => this.doubles("covariance", ...this.words(values), columns));
  }

  /** T, upper triangular, with TᵀT = matrix; empty where that is not positive definite. */
  factor(matrix: Float64Array, size: number): Float64Array {
    return this.scoped(() => this.doubles("factor", ...this.words(matrix), size));
  }

  /**
   * Rows rounded value after value, the last first, each the best after those before; and J of each row. `steps`: nothing, or the step of each
   * value; limits are those of each row, or of each value.
   */
  successive(
    values: Float64Array,
    steps: Float64Array,
    lows: Float64Array,
    highs: Float64Array,
    triangle: Float64Array,
    rows: number,
  ): [Float64Array, Float64Array] {
    return this.pair("successive", [values, steps, lows, highs, triangle], rows);
  }

  /** J of each of so many rows of integers, by T. */
  losses(integers: Float64Array, values: Float64Array, triangle: Float64Array, rows: number): Float64Array {
    return this.scoped(() =>
      this.doubles("losses", ...[integers, values, triangle].flatMap((list) => this.words(list)), rows),
    );
  }

  /** Integers and J of each row, from `start` by steps of single values that lower J. */
  descend(
    start: Float64Array,
    values: Float64Array,
    lows: Float64Array,
    highs: Float64Array,
    matrix: Float64Array,
    sweeps: number,
  ): [Float64Array, Float64Array] {
    return this.pair("descend", [start, values, lows, highs, matrix], sweeps);
  }

  /** The integers of least J among all ways to round each value down or up; rows have 12 values at most. */
  everyway(values: Float64Array, lows: Float64Array, highs: Float64Array, matrix: Float64Array): Float64Array {
    return this.scoped(() => this.doubles("everyway", ...[values, lows, highs, matrix].flatMap((a) => this.words(a))));
  }

  /** Sum of weight · error² of each row when its scale is multiplied by each ratio: [rows, ratios]. */
  shrunk(
    values: Float64Array,
    lows: Float64Array,
    highs: Float64Array,
    weights: Float64Array,
    ratios: Float64Array,
  ): Float64Array {
    const lists = [values, lows, highs, weights, ratios];
    return this.scoped(() => this.doubles("shrunk", ...lists.flatMap((list) => this.words(list))));
  }

  /** Pointer and count of a copy. */
  private words(values: Float32Array | Float64Array | Int32Array): number[] {
    return [this.copyIn(values).pointer, values.length];
  }

  /** The two lists that a kernel gives. */
  private pair(name: string, lists: readonly Float64Array[], ...more: number[]): [Float64Array, Float64Array] {
    return this.scoped(() => {
      const words = lists.flatMap((list) => this.words(list));
      const [first, count, second, rows] = this.record(name, 4, ...words, ...more);
      const { buffer } = this;
      return [new Float64Array(buffer, first, count).slice(), new Float64Array(buffer, second, rows).slice()];
    });
  }

  private doubles(name: string, ...parameters: number[]): Float64Array {
    return this.result<Float64Array>(Float64Array, name, ...parameters).slice();
  }
}
