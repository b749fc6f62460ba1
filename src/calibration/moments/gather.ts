/** Gathers, in a Worker, what operators with weights read in a record: the mean of each tap, exactly, and some vectors (taps.ts). */
import { type Kernels, loadKernels } from "../../weights/kernels.ts";
import { type Axis, inputLength, sourceOf, type Taps, valuesOf, vectorLength, vectorsOf } from "./taps.ts";

/** What is gathered of an observed tensor. */
export interface Wanted {
  /** Its place among the observed tensors. */
  readonly place: number;
  readonly taps: Taps;
  /** Vectors that are taken of each record; 0: none. */
  readonly vectors: number;
  /** Makes the choice of positions another one for each operator. */
  readonly seed: number;
}

/** What a record says: of each wanted tensor how many vectors there were, the mean of them all, and the vectors that were taken. */
export interface RecordMoments {
  readonly counts: Float64Array;
  /** One after the other; the length of each is `vectorLength`. */
  readonly means: Float64Array;
  readonly vectors: readonly Float32Array[];
}

export class MomentGatherer {
  private readonly byPlace = new Map<number, number[]>();
  private readonly offsets: number[] = [];
  private counts: Float64Array;
  private sums: Float64Array;
  private vectors: Float32Array[];
  private readonly length: number;
  private record = 0;

  constructor(
    private readonly wanted: readonly Wanted[],
    private readonly kernels: Kernels = loadKernels(),
  ) {
    let length = 0;
    for (const [i, { place, taps }] of wanted.entries()) {
      this.byPlace.set(place, [...(this.byPlace.get(place) ?? []), i]);
      this.offsets.push(length);
      length += vectorLength(taps);
    }
    this.length = length;
    this.counts = new Float64Array(wanted.length);
    this.sums = new Float64Array(length);
    this.vectors = wanted.map(() => NOTHING);
  }

  begin(record: number): void {
    this.record = record;
  }

  wants(place: number): boolean {
    return this.byPlace.has(place);
  }

  /** A tensor of this record. Sizes that do not fit what the model declares are passed over. */
  see(place: number, values: Float32Array): void {
    for (const index of this.byPlace.get(place) ?? []) {
      const { taps, vectors, seed } = this.wanted[index]!;
      const each = inputLength(taps);
      if (values.length === 0 || values.length % each !== 0) continue;
      const inputs = values.length / each;
      const from = this.offsets[index]!;
      const sums = this.sums.subarray(from, from + vectorLength(taps));
      if (taps.kind === "rows") this.addColumns(values, taps.channels, sums);
      else for (let n = 0; n < inputs; n++) this.addWindow(values.subarray(n * each, (n + 1) * each), taps, sums);
      this.counts[index]! += inputs * vectorsOf(taps);
      if (vectors > 0 && this.vectors[index] === NOTHING)
        this.vectors[index] = chosenVectors(values, taps, inputs, vectors, seed + this.record * 0x9e3779b1);
    }
  }

  /** What was seen since the last call. */
  take(): RecordMoments {
    for (const [index, { taps }] of this.wanted.entries()) {
      const count = this.counts[index]!;
      const from = this.offsets[index]!;
      const to = from + vectorLength(taps);
      for (let at = from; count > 0 && at < to; at++) this.sums[at]! /= count;
    }
    const taken = { counts: this.counts, means: this.sums, vectors: this.vectors };
    this.counts = new Float64Array(this.wanted.length);
    this.sums = new Float64Array(this.length);
    this.vectors = this.wanted.map(() => NOTHING);
    return taken;
  }

  /** Adds the sums of the columns of [rows, columns], a piece at a time. */
  private addColumns(values: Float32Array, columns: number, sums: Float64Array): void {
    const rows = Math.max(1, Math.floor(PIECE / columns));
    for (let from = 0; from < values.length; from += rows * columns) {
      const part = this.kernels.columnsums(values.subarray(from, from + rows * columns), 1, columns);
      for (let c = 0; c < columns; c++) sums[c]! += part[c]!;
    }
  }

  /** Adds, for each tap and channel, the sum of what it reads of one input, some rows at a time. */
  private addWindow(values: Float32Array, taps: Taps & { kind: "window" }, sums: Float64Array): void {
    const { rows, columns, channels } = taps;
    if (readsAll(rows) && readsAll(columns)) return this.addColumns(values, channels, sums);
    const down = Int32Array.of(stepOf(rows), ...readBy(rows));
    const across = Int32Array.of(columns.size, stepOf(columns), ...readBy(columns));
    const pitch = columns.size * channels;
    const some = Math.max(1, Math.floor(WINDOW_PIECE / pitch));
    for (let top = 0; top < rows.size; top += some) {
      const part = values.subarray(top * pitch, (top + some) * pitch);
      const found = this.kernels.windowsums(part, down, across, channels, top);
      for (let i = 0; i < found.length; i++) sums[i]! += found[i]!;
    }
  }
}

/** Floats that a kernel gets at a time: what stays in a core's cache. Of pictures more, because results of each piece are added, too. */
const PIECE = 1 << 15;
const WINDOW_PIECE = 1 << 17;
const NOTHING = new Float32Array(0);

/** Whether every tap reads every value: a window of one tap over all. */
function readsAll(axis: Axis): boolean {
  const { first, last, step } = valuesOf(axis, 0);
  return axis.taps === 1 && step === 1 && first === 0 && last === axis.size - 1;
}

/** Places of an axis that one tap reads lie so far apart. */
function stepOf({ scatter, stride }: Axis): number {
  return scatter ? 1 : stride;
}

/** The first and the last place that each tap of an axis reads. */
function readBy(axis: Axis): number[] {
  return Array.from({ length: axis.taps }, (_, tap) => valuesOf(axis, tap)).flatMap(({ first, last }) => [first, last]);
}

/**
 * Some vectors of all, in their order: all positions are cut into as many parts as there are to be vectors, and one position of each part is
 * chosen by a hash. So the choice depends on operator and record alone.
 */
function chosenVectors(values: Float32Array, taps: Taps, inputs: number, most: number, seed: number): Float32Array {
  const all = inputs * vectorsOf(taps);
  const count = Math.min(most, all);
  const length = vectorLength(taps);
  if (count === all && taps.kind === "rows") return values.slice();
  const vectors = new Float32Array(count * length);
  for (let i = 0; i < count; i++) {
    const from = Math.floor((i * all) / count);
    const to = Math.floor(((i + 1) * all) / count);
    const position = from + (mixed(seed ^ Math.imul(i, 0x85ebca6b)) % (to - from));
    readVector(values, taps, position, vectors.subarray(i * length, (i + 1) * length));
  }
  return vectors;
}

function readVector(values: Float32Array, taps: Taps, position: number, to: Float32Array): void {
  const { channels } = taps;
  if (taps.kind === "rows") return to.set(values.subarray(position * channels, (position + 1) * channels));
  const { rows, columns } = taps;
  const each = vectorsOf(taps);
  const input = Math.floor(position / each) * inputLength(taps);
  const [oy, ox] = [Math.floor((position % each) / columns.positions), position % columns.positions];
  let at = 0;
  for (let ky = 0; ky < rows.taps; ky++) {
    const y = sourceOf(rows, oy, ky);
    for (let kx = 0; kx < columns.taps; kx++, at += channels) {
      const x = y < 0 ? -1 : sourceOf(columns, ox, kx);
      if (x < 0) continue;
      const from = input + (y * columns.size + x) * channels;
      for (let c = 0; c < channels; c++) to[at + c] = values[from + c]!;
    }
  }
}

/** A whole number of 31 bits that follows from another one without looking like it (murmur3's last steps). */
function mixed(seed: number): number {
  let h = seed | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 1;
}
