/**
 * Observers: what is kept of the values that pass through a model. They live in the workers, next to the values.
 *
 * A record runs in one worker; its tensors are shown one after the other, then `endOfRecord` says what the main thread is to know of
 * that record. Records are independent of each other here, so results do not depend on how many workers there are.
 * An observer that gathers over records (a histogram) gives its sums at `end`, once a worker.
 */
import { type Kernels, loadKernels } from "../weights/kernels.ts";

export interface Observer {
  /**
   * One float32 tensor of the current record. `values` is a view into the engine's memory: valid during the call only.
   * `tensor` is its place in the list of observed tensors.
   */
  see(tensor: number, values: Float32Array): void;
  /** Sent to the main thread together with the record's number (structured clone). */
  endOfRecord(): unknown;
  /** Sent to the main thread when the worker has no more records. */
  end(): unknown;
}

/** Observers a worker can be asked for; the argument is the number of observed tensors. */
export const OBSERVERS = {
  minmax: (tensors: number): Observer => minmaxObserver(tensors),
} as const;

export type ObserverKind = keyof typeof OBSERVERS;

/** float32's largest finite number. */
export const FLT_MAX = 3.4028234663852886e38;

/** For every record `[min of tensor 0, max of tensor 0, min of tensor 1, …]`; NaN twice for a tensor without a number. */
function minmaxObserver(tensors: number): Observer {
  const kernels = loadKernels();
  let record = new Float32Array(2 * tensors);
  return {
    see(tensor, values) {
      const { min, max } = minmax(values, kernels);
      record[2 * tensor] = min;
      record[2 * tensor + 1] = max;
    },
    endOfRecord() {
      const done = record;
      record = new Float32Array(2 * tensors);
      return done;
    },
    end() {
      return undefined;
    },
  };
}

/** Floats the kernel is given at a time: small enough that the copy into its memory stays in the cache. */
const PIECE = 1 << 15;

/**
 * Smallest and largest value; NaN and −FLT_MAX (what attention masks are filled with) are passed over, ±inf is not. NaN for both
 * when nothing is left. Reference §7.3, which starts from ±FLT_MAX.
 */
export function minmax(values: Float32Array, kernels: Pick<Kernels, "observe">): { min: number; max: number } {
  let min = FLT_MAX;
  let max = -FLT_MAX;
  let seen = 0;
  for (let from = 0; from < values.length; from += PIECE) {
    const piece = kernels.observe(values.subarray(from, from + PIECE));
    seen += piece.seen;
    if (piece.min < min) min = piece.min;
    if (piece.max > max) max = piece.max;
  }
  return seen > 0 ? { min, max } : { min: Number.NaN, max: Number.NaN };
}
