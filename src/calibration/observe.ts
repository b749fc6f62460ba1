/**
 * Observers: what is kept of the values that pass through a model. They live in the workers, next to the values.
 *
 * A record runs in one worker; its tensors are shown one after the other, then `endOfRecord` says what the main thread is to know of
 * that record. What an observer gathers over records it gives at `end`, once a worker; that has to be something whose merging
 * does not depend on order (histogram.ts), so that results do not depend on how many workers there are.
 */
import { FLT_MAX } from "../rules/arithmetic.ts";
import { type Block, type Kernels, loadKernels } from "../weights/kernels.ts";
import { Histograms } from "./histogram.ts";
import { type InPlaceRange, observerOver } from "./in-place.ts";
import { type Look, type Looked, Seen } from "./look-observer.ts";
import type { MomentGatherer, RecordMoments } from "./moments/gather.ts";

export interface Observer {
  /**
   * One float32 tensor of the current record. `values` is a view, into the engine's memory or another one: valid during the call
   * only. `tensor` is its place in the list of observed tensors.
   */
  see(tensor: number, values: Float32Array): void;
  /** The same for `count` floats at `at` (bytes) of the engine's memory, read where they lie; `values` makes a view. Not every observer can. */
  readonly seeInPlace?: (tensor: number, at: number, count: number, values: () => Float32Array) => void;
  /** Sent to the main thread together with the record's number (structured clone): `[min of tensor 0, max of tensor 0, min …]`, Both or Looked[]. */
  endOfRecord(): Float32Array | Both | Looked[];
  /** Sent to the main thread when the worker has no more records: `Histogram[]`, one per tensor, or undefined. */
  end(): unknown;
}

/**
 * Observers a worker can be asked for. `finite` has one entry an observed tensor: whether ±inf counts as ±FLT_MAX (finite.ts). Tensors
 * that lie in `memory`, the engine's, are read in place by `minmax`; histograms count copies of small pieces.
 */
export const OBSERVERS = {
  minmax: (finite: readonly boolean[], memory?: WebAssembly.Memory): Observer => minmaxObserver(finite, memory),
  histogram: (finite: readonly boolean[], _memory?: WebAssembly.Memory): Observer => histogramObserver(finite),
  looks: (_finite: readonly boolean[], _memory?: WebAssembly.Memory, looks: readonly Look[] = []): Observer =>
    lookObserver(looks),
} as const;

export type ObserverKind = keyof typeof OBSERVERS;

/** What a record says where moments are gathered, too. */
export interface Both {
  readonly ranges: Float32Array;
  readonly moments: RecordMoments;
}

/** An observer beside which a gatherer sees the same values. */
export function withMoments(observer: Observer, gatherer: MomentGatherer): Observer {
  const { seeInPlace } = observer;
  return {
    see(tensor, values) {
      observer.see(tensor, values);
      gatherer.see(tensor, values);
    },
    ...(seeInPlace && {
      seeInPlace(tensor, at, count, values) {
        seeInPlace(tensor, at, count, values);
        if (gatherer.wants(tensor)) gatherer.see(tensor, values());
      },
    }),
    endOfRecord: () => ({ ranges: observer.endOfRecord() as Float32Array, moments: gatherer.take() }),
    end: () => observer.end(),
  };
}

/**
 * What a record says of its tensors, as `[min, max, min …]`: over all times that a tensor was shown; NaN twice for a tensor without a
 * number; UNSEEN for one that was not shown at all.
 */
class RecordRanges {
  private ranges: Float32Array;

  constructor(private readonly tensors: number) {
    this.ranges = this.fresh();
  }

  note(tensor: number, { min, max, seen }: InPlaceRange): void {
    const at = 2 * tensor;
    const [before, beforeMax] = [this.ranges[at]!, this.ranges[at + 1]!];
    const first = isUnseen(before, beforeMax) || Number.isNaN(before);
    if (!seen) {
      if (first) this.ranges[at] = this.ranges[at + 1] = Number.NaN;
      return;
    }
    if (first || min < before) this.ranges[at] = min;
    if (first || max > beforeMax) this.ranges[at + 1] = max;
  }

  take(): Float32Array {
    const done = this.ranges;
    this.ranges = this.fresh();
    return done;
  }

  private fresh(): Float32Array {
    const ranges = new Float32Array(2 * this.tensors);
    for (let i = 0; i < ranges.length; i += 2) ranges.set(UNSEEN, i);
    return ranges;
  }
}

/** Minimum and maximum of a tensor that a record did not show: a branch that was not taken, a result without elements. */
const UNSEEN = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY] as const;

export function isUnseen(min: number, max: number): boolean {
  return min === UNSEEN[0] && max === UNSEEN[1];
}

/** Minimum and maximum a record. */
function minmaxObserver(finite: readonly boolean[], memory: WebAssembly.Memory | undefined): Observer {
  const inPlace = memory && observerOver(memory);
  const copying = copyingScan();
  const ranges = new RecordRanges(finite.length);
  return {
    see: (tensor, values) =>
      ranges.note(
        tensor,
        copying(values, finite[tensor]!, () => {}),
      ),
    seeInPlace: inPlace && ((tensor, at, count) => ranges.note(tensor, inPlace(at, count, finite[tensor]!))),
    endOfRecord: () => ranges.take(),
    end: () => undefined,
  };
}

/** The same, and one histogram per tensor. */
function histogramObserver(finite: readonly boolean[]): Observer {
  const { stream } = loadKernels();
  const scan = copyingScan(stream);
  const histograms = new Histograms(stream, finite.length);
  const ranges = new RecordRanges(finite.length);
  return {
    see(tensor, values) {
      ranges.note(
        tensor,
        scan(values, finite[tensor]!, (block) => histograms.add(tensor, block)),
      );
    },
    endOfRecord: () => ranges.take(),
    end: () => finite.map((_, tensor) => histograms.of(tensor)),
  };
}

/** Channels, and whole tensors. */
function lookObserver(looks: readonly Look[]): Observer {
  const seen = looks.map((look) => new Seen(look));
  return {
    see: (tensor, values) => seen[tensor]!.see(values),
    endOfRecord: () => seen.map((each) => each.take()),
    end: () => undefined,
  };
}

/** Floats the kernels are given at a time: small enough that the copy into their memory stays in the cache. */
const PIECE = 1 << 15;

/**
 * Smallest and largest value of floats anywhere, through a piece of the kernels' own memory; NaN and −FLT_MAX (what attention masks are
 * filled with) are passed over, ±inf is not. Reference §7.3, which starts from ±FLT_MAX. With `finite` ±inf counts as ±FLT_MAX.
 * `seen` is shown each piece, as it is to be counted.
 */
function copyingScan(stream: Kernels["stream"] = loadKernels().stream) {
  const piece = stream.reserve(4 * PIECE);
  return (values: Float32Array, finite: boolean, see: (block: Block) => void): InPlaceRange => {
    let min = FLT_MAX;
    let max = -FLT_MAX;
    let seen = false;
    for (let from = 0; from < values.length; from += PIECE) {
      const part = values.subarray(from, from + PIECE);
      const block = stream.part(piece, 0, part.byteLength);
      block.bytes().set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
      let found = stream.scoped(() => stream.observe(block));
      if (finite && (found.min < -FLT_MAX || found.max > FLT_MAX)) {
        clamp(block);
        found = stream.scoped(() => stream.observe(block));
      }
      see(block);
      seen ||= found.seen > 0;
      if (found.min < min) min = found.min;
      if (found.max > max) max = found.max;
    }
    return { min, max, seen };
  };
}

/** Makes ±FLT_MAX of ±inf, in place. */
function clamp(block: Block): void {
  const bytes = block.bytes();
  const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  for (const [i, value] of values.entries()) {
    if (Math.abs(value) === Number.POSITIVE_INFINITY) values[i] = Math.sign(value) * FLT_MAX;
  }
}
