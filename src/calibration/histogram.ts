/**
 * Histograms of everything a tensor took on, in memory that does not grow with the number of values.
 *
 * The bins are the same for all data (kernels/histogram.ts): 1024 equal ones in each octave of float32, so a bin is at most 2^-10 of
 * the values in it wide. Counts are integers. That makes merging exact and independent of order: which worker ran which record, and how
 * large values came before small ones, cannot show in the result, and there is no range to be guessed or doubled.
 *
 * A worker holds 4 KiB an octave that occurs: about 200 KB for a tensor as networks have them, at most 2 MB for one that takes on
 * every magnitude float32 has.
 */
import { MinmaxqError } from "../base/errors.ts";
import type { Block, Kernels } from "../weights/kernels.ts";

/** Counts by bin. */
export interface Histogram {
  /** Bin numbers that occur, ascending: the float's bits >>> 13. */
  readonly bins: Uint32Array;
  /** One a bin, positive whole numbers, exact to 2^53. */
  readonly counts: Float64Array;
}

const OCTAVES = 512;
const BINS = 1024;
/** A count is a uint32; before it could overflow, a tensor's counts move to float64. */
const COUNT_LIMIT = 0xffffffff;

/** The histograms of a worker's tensors. Their kernel instance must not be used for anything else that reserves and keeps memory. */
export class Histograms {
  private readonly tables: Block[];
  private readonly used: Int32Array[];
  private readonly sinceDrained: Float64Array;
  private readonly drained: Map<number, Float64Array>[];
  /** All counts lie in one piece that grows at its end: every page from `first` on, in order of first use. */
  private first: Block | undefined;
  private last: Block | undefined;

  constructor(
    private readonly stream: Kernels["stream"],
    tensors: number,
  ) {
    this.used = Array.from({ length: tensors }, () => new Int32Array(OCTAVES).fill(-1));
    this.tables = this.used.map((pages) => stream.copyIn(pages));
    this.sinceDrained = new Float64Array(tensors);
    this.drained = this.used.map(() => new Map());
  }

  /** Counts the floats of a block in WASM memory that was reserved before this object was made. NaN and -FLT_MAX are passed over. */
  add(tensor: number, values: Block): void {
    const count = values.byteLength / 4;
    if (this.sinceDrained[tensor]! + count > COUNT_LIMIT) this.drain(tensor);
    this.sinceDrained[tensor]! += count;
    for (let at = 0; at < count; ) {
      const left = this.stream.part(values, 4 * at, 4 * (count - at));
      at += this.stream.scoped(() => this.stream.histogram(left, this.tables[tensor]!, this.pool()));
      if (at < count)
        this.addPage(tensor, new DataView(left.bytes().buffer).getUint32(values.pointer + 4 * at, true) >>> 23);
    }
  }

  /** The histogram of a tensor: a copy. */
  of(tensor: number): Histogram {
    this.drain(tensor);
    const octaves = this.drained[tensor]!;
    const bins = new Uint32Array(octaves.size * BINS);
    const counts = new Float64Array(bins.length);
    let size = 0;
    for (const octave of [...octaves.keys()].sort((a, b) => a - b)) {
      const sums = octaves.get(octave)!;
      for (let bin = 0; bin < BINS; bin++) {
        if (sums[bin] === 0) continue;
        bins[size] = octave * BINS + bin;
        counts[size++] = sums[bin]!;
      }
    }
    return { bins: bins.slice(0, size), counts: counts.slice(0, size) };
  }

  private pool(): Block {
    return this.first === undefined ? this.stream.reserve(0) : this.stream.span(this.first, this.last!);
  }

  private addPage(tensor: number, octave: number): void {
    const page = this.reserve(4 * BINS);
    page.bytes().fill(0);
    this.first ??= page;
    this.last = page;
    this.used[tensor]![octave] = (page.pointer - this.first.pointer) / 4;
    this.tables[tensor]!.bytes().set(new Uint8Array(this.used[tensor]!.buffer));
  }

  private reserve(bytes: number): Block {
    try {
      return this.stream.reserve(bytes);
    } catch (cause) {
      throw new MinmaxqError(
        "the histograms of all tensors need more than 4 GiB; record with --mode percentile, moving_average or minmax",
        { cause },
      );
    }
  }

  /** Moves a tensor's counts into float64 and clears them. */
  private drain(tensor: number): void {
    this.used[tensor]!.forEach((page, octave) => {
      if (page < 0) return;
      const bytes = this.stream.part(this.pool(), 4 * page, 4 * BINS).bytes();
      const counts = new Uint32Array(bytes.buffer, bytes.byteOffset, BINS);
      const sums = this.drained[tensor]!.get(octave) ?? new Float64Array(BINS);
      for (let bin = 0; bin < BINS; bin++) sums[bin]! += counts[bin]!;
      this.drained[tensor]!.set(octave, sums);
      counts.fill(0);
    });
    this.sinceDrained[tensor] = 0;
  }
}

/** The histogram of both; exact, in any order. */
export function mergeHistograms(a: Histogram, b: Histogram): Histogram {
  const bins = new Uint32Array(a.bins.length + b.bins.length);
  const counts = new Float64Array(bins.length);
  let size = 0;
  for (let i = 0, j = 0; i < a.bins.length || j < b.bins.length; size++) {
    const left = a.bins[i] ?? Number.POSITIVE_INFINITY;
    const right = b.bins[j] ?? Number.POSITIVE_INFINITY;
    bins[size] = Math.min(left, right);
    if (left <= right) counts[size]! += a.counts[i++]!;
    if (right <= left) counts[size]! += b.counts[j++]!;
  }
  return { bins: bins.slice(0, size), counts: counts.slice(0, size) };
}
