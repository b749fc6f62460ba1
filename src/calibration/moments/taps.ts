/**
 * What an operator with weights reads, as one vector for each position of its result (im2col): the values under its window, 0 where that
 * reaches beyond the edge. Plain data, so that Workers can be told.
 *
 *     conv 3×3, stride 2, [H, W, C]   →   vectors of 9 · C values: tap (0,0) of all channels, tap (0,1) …
 *     FULLY_CONNECTED, [rows, K]      →   the rows
 */

/** One of the two dimensions of a window. */
export interface Axis {
  /** Of the input and of the result. */
  readonly size: number;
  readonly positions: number;
  readonly taps: number;
  readonly stride: number;
  readonly dilation: number;
  /** How far the first window begins before the input (gather), or the input's first values before the result (scatter). */
  readonly pad: number;
  /** Position o reads o · stride − pad + tap · dilation; with `scatter` value i goes to i · stride − pad + tap · dilation. */
  readonly scatter: boolean;
}

export type Taps =
  | { readonly kind: "rows"; readonly channels: number }
  | { readonly kind: "window"; readonly rows: Axis; readonly columns: Axis; readonly channels: number };

/** Values of a vector. */
export function vectorLength(taps: Taps): number {
  return taps.kind === "rows" ? taps.channels : taps.rows.taps * taps.columns.taps * taps.channels;
}

/** Values of one input: of a whole picture, or of a row. */
export function inputLength(taps: Taps): number {
  return taps.kind === "rows" ? taps.channels : taps.rows.size * taps.columns.size * taps.channels;
}

/** Vectors of one input. */
export function vectorsOf(taps: Taps): number {
  return taps.kind === "rows" ? 1 : taps.rows.positions * taps.columns.positions;
}

/** Which value of the input a tap reads at a position; −1: none, so it reads 0. */
export function sourceOf({ size, stride, dilation, pad, scatter }: Axis, position: number, tap: number): number {
  if (!scatter) {
    const at = position * stride - pad + tap * dilation;
    return at >= 0 && at < size ? at : -1;
  }
  const at = position + pad - tap * dilation;
  return at >= 0 && at % stride === 0 && at / stride < size ? at / stride : -1;
}

/** All values that a tap reads, over all positions: from `first` to `last` by `step`. Nothing where first > last. */
export function valuesOf(
  { size, positions, stride, dilation, pad, scatter }: Axis,
  tap: number,
): { readonly first: number; readonly last: number; readonly step: number } {
  const offset = tap * dilation - pad;
  if (scatter) {
    const first = Math.max(0, Math.ceil(-offset / stride));
    return { first, last: Math.min(size - 1, Math.floor((positions - 1 - offset) / stride)), step: 1 };
  }
  const from = Math.max(0, Math.ceil(-offset / stride));
  const to = Math.min(positions - 1, Math.floor((size - 1 - offset) / stride));
  if (from > to) return { first: 0, last: -1, step: stride };
  return { first: from * stride + offset, last: to * stride + offset, step: stride };
}
