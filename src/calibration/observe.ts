/**
 * Observers: what is kept of the values that pass through a model. They live in the workers, next to the values.
 *
 * A record runs in one worker; its tensors are shown one after the other, then `endOfRecord` says what the main thread is to know of
 * that record. Records are independent of each other here, so results do not depend on how many workers there are.
 * An observer that gathers over records (a histogram) gives its sums at `end`, once a worker.
 */
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
  let record = new Float32Array(2 * tensors);
  return {
    see(tensor, values) {
      const { min, max } = minmax(values);
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

/**
 * Smallest and largest value; NaN and −FLT_MAX (what attention masks are filled with) are passed over, ±inf is not. NaN for both
 * when nothing is left. Reference §7.3, which starts from ±FLT_MAX.
 */
export function minmax(values: Float32Array): { min: number; max: number } {
  let min = FLT_MAX;
  let max = -FLT_MAX;
  let some = false;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    // NaN fails both comparisons.
    if (value > -FLT_MAX || value < -FLT_MAX) {
      some = true;
      if (value < min) min = value;
      if (value > max) max = value;
    }
  }
  return some ? { min, max } : { min: Number.NaN, max: Number.NaN };
}
