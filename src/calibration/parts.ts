/**
 * Which slices (slices.ts) are in memory together: all of them, or one part after the other when the model does not fit.
 *
 *     part 1, all records ─▶ boundary tensors of all records (spill.ts) ─▶ part 2, all records ─▶ …
 *
 * Part by part and not record by record, because then each part's weights are loaded and packed once, which takes longer than to
 * run them once; boundary tensors are small beside weights, and disks are large. What a part needs is estimated from what is known
 * beforehand: constants as they are stored and as XNNPACK packs them, and the tensors that are alive together.
 */
import { MinmaxqError, UsageError } from "../base/errors.ts";
import { MEMORY_LIMIT, MEMORY_TEXT } from "./litert.ts";
import { freeMemory, WORKER_BYTES } from "./pool.ts";
import type { Slice } from "./slices.ts";

/** Consecutive slices. Tensors are called by number. */
export interface Part {
  readonly slices: readonly Slice[];
  /** Given by earlier parts. */
  readonly reads: readonly number[];
  /** Read by later parts. */
  readonly writes: readonly number[];
  /** Whether it reads inputs of the model. */
  readonly readsInputs: boolean;
}

export interface PartPlan {
  readonly parts: readonly Part[];
  readonly workers: number;
  /** Bytes of boundary tensors that may stay in memory. */
  readonly spillBytes: number;
}

/** What bounds the plan. */
export interface Bounds {
  /** Bytes for the whole process (--memory-limit); by default what is free, and then it is a wish, no bound. */
  readonly limit?: number;
  /** Of that, what something else will have meanwhile. */
  readonly held?: number;
  /** The same, as far as the model can do without it: a run that has come so far is not refused. */
  readonly alsoHeld?: number;
  /** Number of workers; by default as many as cores, records and memory allow. */
  readonly workers?: number;
  /** Every slice is a part of its own, and nothing between them stays in memory; for tests. */
  readonly everySlice?: boolean;
}

/** What is to be known of model and data besides the slices. */
export interface Sizes {
  readonly inputs: ReadonlySet<number>;
  /** Bytes of an activation. */
  bytes(tensor: number): number;
  readonly records: number;
  /** Bytes of what a worker's observer gathers over all records. */
  readonly observer: number;
  /** Bytes of what a worker gathers of an activation in a record. */
  gathered?(tensor: number): number;
}

/** The process without workers (measured: 125 MB with Bun, this program and LiteRT compiled; garbage of many parts comes on top). */
const PROCESS_BYTES = 165e6;
/** What LiteRT needs for a loaded model besides its weights. */
const SLICE_BYTES = 100e3;
/** Of an instance's memory; the rest is its own, and for what estimates miss. */
const INSTANCE_BYTES = 0.88 * MEMORY_LIMIT;
/** Boundary tensors in memory: at most this share of what there is, and at most so many bytes. */
const SPILL_SHARE = 1 / 8;
const SPILL_MOST = 256e6;

/**
 * Makes the plan. Throws UsageError for a limit that is too small, with the smallest one that would do, and MinmaxqError for an operator
 * that no instance can hold.
 */
export function planParts(slices: readonly Slice[], sizes: Sizes, bounds: Bounds): PartPlan {
  const needs = new Needs(slices, sizes);
  if (bounds.everySlice) return { parts: needs.parts(slices.map((_, i) => i + 1)), workers: 1, spillBytes: 0 };
  const wanted = bounds.workers ?? Math.min(navigator.hardwareConcurrency, sizes.records);
  const most = Math.max(1, Math.min(wanted, sizes.records));
  const memory = bounds.limit ?? freeMemory();
  // Slices come to the workers through one shared buffer.
  const window = Math.max(0, ...slices.map(({ stored }) => stored));
  const least = bounds.workers === undefined ? 1 : most;
  const each = WORKER_BYTES + sizes.observer;
  const whole = needs.of(0, slices.length);
  const largest = Math.max(0, ...slices.map((_, i) => needs.of(i, i + 1)));
  if (largest > INSTANCE_BYTES)
    throw tooLarge(slices[slices.findIndex((_, i) => needs.of(i, i + 1) === largest)]!, largest);
  const smallest = fixedBytes(bounds) + window + least * (each + largest);
  const beside = bounds.limit === undefined ? 0 : Math.max(0, Math.min(bounds.alsoHeld ?? 0, memory - smallest));
  const fixed = fixedBytes(bounds) + window + beside;
  const spillBytes = Math.max(0, Math.min(SPILL_SHARE * memory, SPILL_MOST, memory - smallest - beside));
  for (let workers = most; workers >= least; workers--) {
    const room = Math.min((memory - fixed) / workers - each, INSTANCE_BYTES);
    if (whole <= room)
      return { parts: needs.parts(slices.length === 0 ? [] : [slices.length]), workers, spillBytes: 0 };
  }
  for (let workers = most; workers >= least; workers--) {
    const room = Math.min((memory - fixed - spillBytes) / workers - each, INSTANCE_BYTES);
    const wish = bounds.limit === undefined && workers === least;
    if (largest > room && !wish) continue;
    return { parts: needs.parts(needs.cut(Math.max(room, largest))), workers, spillBytes };
  }
  throw new UsageError(limitText(bounds, smallest, least));
}

/** What there is without Workers and models, where memory is limited. */
function fixedBytes({ limit, held = 0 }: Bounds): number {
  return limit === undefined ? 0 : PROCESS_BYTES + held;
}

/** Workers that run a model operator by operator, and the bytes that each may use for loaded operators. */
export interface StepsBounds {
  readonly workers: number;
  readonly room: number;
}

/**
 * Plans them: `stored` bytes of constants lie in memory once; loaded operators are closed when there is no room (stepwise/stepper.ts), so what
 * a worker needs is its largest operator. Throws UsageError for a limit that is too small.
 */
export function planSteps(
  { stored, largest, observer, records }: { stored: number; largest: number; observer: number; records: number },
  bounds: Bounds,
): StepsBounds {
  const each = WORKER_BYTES + observer;
  const wish = 0.5 * MEMORY_LIMIT;
  const most = Math.max(1, Math.min(bounds.workers ?? navigator.hardwareConcurrency, records));
  const fixed = fixedBytes(bounds) + stored;
  const least = bounds.workers === undefined ? 1 : most;
  for (let workers = most; workers >= least; workers--) {
    const room = ((bounds.limit ?? freeMemory()) - fixed) / workers - each;
    if (room >= Math.min(wish, 3 * stored) || (workers === least && room >= largest))
      return { workers, room: Math.min(room, wish) };
  }
  if (bounds.limit === undefined) return { workers: least, room: wish };
  throw new UsageError(limitText(bounds, fixed + least * (each + largest), least));
}

function limitText({ limit, workers }: Bounds, smallest: number, least: number): string {
  const threads = workers !== undefined && least > 1 ? ` with ${least} workers, or fewer of them (--num-threads)` : "";
  return `--memory-limit ${megabytes(limit!)}: this model cannot be run in so little memory; the smallest limit that does is ${megabytes(smallest)}${threads}`;
}

/** As the option takes it, rounded up. */
function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6)}MB`;
}

function tooLarge({ origins, stored }: Slice, need: number): MinmaxqError {
  const what =
    origins.length === 1
      ? origins[0]!
      : `${origins.at(-1)!} and what has to be run with it (${origins.length} operators)`;
  return new MinmaxqError(
    `${what} has ${megabytes(stored)} of weights and needs ${megabytes(need)} when it runs, but ${MEMORY_TEXT}; record the model elsewhere (ONE's record-minmax) and quantize it without --data`,
  );
}

/** What runs of slices need, and how the model is cut by it. */
class Needs {
  /** By tensor: the slice that gives it; the last one that reads it. */
  private readonly given = new Map<number, number>();
  private readonly last = new Map<number, number>();

  constructor(
    private readonly slices: readonly Slice[],
    private readonly sizes: Sizes,
  ) {
    for (const [i, { inputs, outputs }] of slices.entries()) {
      for (const tensor of outputs) this.given.set(tensor, i);
      for (const tensor of inputs) this.last.set(tensor, i);
    }
  }

  /** Bytes of an instance that holds the slices from `from` to before `to`. */
  of(from: number, to: number): number {
    const run = new Run(this.given, this.last, this.sizes, from);
    for (const slice of this.slices.slice(from, to)) run.add(slice);
    return run.bytes;
  }

  /** Ends of parts that need at most `room`, or have one slice; the longest ones from the beginning on. */
  cut(room: number): number[] {
    const ends: number[] = [];
    let run = new Run(this.given, this.last, this.sizes, 0);
    for (const [i, slice] of this.slices.entries()) {
      run.add(slice);
      if (run.bytes <= room || (ends.at(-1) ?? 0) === i) continue;
      ends.push(i);
      run = new Run(this.given, this.last, this.sizes, i);
      run.add(slice);
    }
    if (this.slices.length > 0) ends.push(this.slices.length);
    return ends;
  }

  parts(ends: readonly number[]): Part[] {
    return ends.map((to, i) => {
      const from = ends[i - 1] ?? 0;
      const slices = this.slices.slice(from, to);
      const operands = [...new Set(slices.flatMap(({ inputs }) => inputs))];
      return {
        slices,
        reads: operands.filter((tensor) => (this.given.get(tensor) ?? from) < from),
        writes: slices.flatMap(({ outputs }) => outputs).filter((tensor) => (this.last.get(tensor) ?? -1) >= to),
        readsInputs: operands.some((tensor) => this.sizes.inputs.has(tensor)),
      };
    });
  }
}

/** A run of slices under way. */
class Run {
  private weights = 0;
  /** Tensors from outside, which stay. */
  private outside = 0;
  private alive = 0;
  /** Of what a worker gathers of results. */
  private gathered = 0;
  private peak = 0;
  private largest = 0;
  private at: number;
  private readonly seen = new Set<number>();

  constructor(
    private readonly given: ReadonlyMap<number, number>,
    private readonly last: ReadonlyMap<number, number>,
    private readonly sizes: Sizes,
    private readonly from: number,
  ) {
    this.at = from;
  }

  add(slice: Slice): void {
    const { sizes } = this;
    this.weights += slice.stored + slice.unpacked + SLICE_BYTES;
    let results = 0;
    let operands = 0;
    for (const tensor of slice.inputs) {
      operands += sizes.bytes(tensor);
      const foreign = (this.given.get(tensor) ?? -1) < this.from;
      if (foreign && !this.seen.has(tensor)) this.outside += sizes.bytes(tensor);
      this.seen.add(tensor);
    }
    for (const tensor of slice.outputs) {
      results += sizes.bytes(tensor);
      this.gathered += sizes.gathered?.(tensor) ?? 0;
    }
    this.alive += results;
    this.peak = Math.max(this.peak, this.alive);
    // Padded copies, and where each pixel's neighbours are.
    this.largest = Math.max(this.largest, operands + results);
    for (const tensor of slice.outputs) if ((this.last.get(tensor) ?? -1) <= this.at) this.alive -= sizes.bytes(tensor);
    for (const tensor of new Set(slice.inputs)) {
      const own = (this.given.get(tensor) ?? -1) >= this.from;
      if (own && this.last.get(tensor) === this.at) this.alive -= sizes.bytes(tensor);
    }
    this.at++;
  }

  get bytes(): number {
    return this.weights + this.outside + this.peak + 2 * this.largest + this.gathered;
  }
}
