/**
 * Observers: what is kept of the values that pass through a model. They live in the workers, next to the values.
 *
 * A record runs in one worker; its tensors are shown one after the other, then `endOfRecord` says what the main thread is to know of
 * that record. What an observer gathers over records it gives at `end`, once a worker; that has to be something whose merging
 * does not depend on order (histogram.ts), so that results do not depend on how many workers there are.
 */
import { type Block, type Kernels, loadKernels } from "../weights/kernels.ts";
import { FLT_MAX } from "./float.ts";
import { Histograms } from "./histogram.ts";

export interface Observer {
  /**
   * One float32 tensor of the current record. `values` is a view into the engine's memory: valid during the call only.
   * `tensor` is its place in the list of observed tensors.
   */
  see(tensor: number, values: Float32Array): void;
  /** Sent to the main thread together with the record's number (structured clone): `[min of tensor 0, max of tensor 0, min …]`. */
  endOfRecord(): Float32Array;
  /** Sent to the main thread when the worker has no more records: `Histogram[]`, one a tensor, or undefined. */
  end(): unknown;
}

/** Observers a worker can be asked for. `finite` has one entry an observed tensor: whether ±inf counts as ±FLT_MAX (finite.ts). */
export const OBSERVERS = {
  minmax: (finite: readonly boolean[]): Observer => observer(finite, false),
  histogram: (finite: readonly boolean[]): Observer => observer(finite, true),
} as const;

export type ObserverKind = keyof typeof OBSERVERS;

/** Minimum and maximum a record; NaN twice for a tensor without a number. On request a histogram a tensor. */
function observer(finite: readonly boolean[], wantsHistogram: boolean): Observer {
  const { stream } = loadKernels();
  const piece = stream.reserve(4 * PIECE);
  const histograms = wantsHistogram ? new Histograms(stream, finite.length) : undefined;
  const fresh = () => new Float32Array(2 * finite.length).fill(Number.NaN);
  let record = fresh();
  return {
    see(tensor, values) {
      const range = rangeOf(values, finite[tensor]!, stream, piece, (block) => histograms?.add(tensor, block));
      record.set(range, 2 * tensor);
    },
    endOfRecord() {
      const done = record;
      record = fresh();
      return done;
    },
    end: () => histograms && finite.map((_, tensor) => histograms.of(tensor)),
  };
}

/** Floats the kernels are given at a time: small enough that the copy into their memory stays in the cache. */
const PIECE = 1 << 15;

/**
 * Smallest and largest value; NaN and −FLT_MAX (what attention masks are filled with) are passed over, ±inf is not. NaN for both
 * when nothing is left. Reference §7.3, which starts from ±FLT_MAX. With `finite` ±inf counts as ±FLT_MAX. `seen` is shown
 * each piece, as it is to be counted.
 */
function rangeOf(
  values: Float32Array,
  finite: boolean,
  stream: Kernels["stream"],
  piece: Block,
  seen: (block: Block) => void,
): [min: number, max: number] {
  let min = FLT_MAX;
  let max = -FLT_MAX;
  let count = 0;
  for (let from = 0; from < values.length; from += PIECE) {
    const part = values.subarray(from, from + PIECE);
    const block = stream.part(piece, 0, part.byteLength);
    block.bytes().set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
    let found = stream.scoped(() => stream.observe(block));
    if (finite && (found.min < -FLT_MAX || found.max > FLT_MAX)) {
      clamp(block);
      found = stream.scoped(() => stream.observe(block));
    }
    seen(block);
    count += found.seen;
    if (found.min < min) min = found.min;
    if (found.max > max) max = found.max;
  }
  return count > 0 ? [min, max] : [Number.NaN, Number.NaN];
}

/** Makes ±FLT_MAX of ±inf, in place. */
function clamp(block: Block): void {
  const bytes = block.bytes();
  const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  for (const [i, value] of values.entries()) {
    if (Math.abs(value) === Number.POSITIVE_INFINITY) values[i] = Math.sign(value) * FLT_MAX;
  }
}
