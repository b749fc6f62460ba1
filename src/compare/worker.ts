/**
 * A comparing worker: two engines, records one after the other. An entry point of the executable (src/workers.ts starts it,
 * src/calibration/pool.ts talks to it). Both models' results of a record are looked at in LiteRT's memory and released; what is kept of
 * them are sums.
 */
import { writeFileSync } from "node:fs";
import { compileAsUsual } from "../base/optimizer.ts";
import { Chain, type ChainPlan } from "../calibration/chain.ts";
import { failureOf, PlacedError } from "../calibration/failure.ts";
import type { Shapes } from "../calibration/inputs.ts";
import {
  type Engine,
  type Held,
  type Instance,
  loadEngine,
  MEMORY_LIMIT,
  openInstance,
} from "../calibration/litert.ts";
import type { FromWorker, ToWorker } from "../calibration/recorder.ts";
import { SpillAccess, type SpilledTensor } from "../calibration/spill.ts";
import { Stepwise } from "../calibration/stepwise/stepwise.ts";
import type { Dtype } from "../graph/graph.ts";
import { EvalDiff } from "./eval-diff.ts";
import { PACKED, pack, sumsOf } from "./metrics.ts";
import { type Integers, numbersOf, quantizedBytes, valuesOf } from "./numbers.ts";

/** Where a tensor's values come from: a model input's data, or a result of the copy (its place among `outputNames`). */
export interface Source {
  readonly dtype: Dtype;
  /** The bytes are integers that stand for floats. */
  readonly integers?: Integers;
  readonly input?: number;
  readonly result?: number;
}

export interface SideJob {
  readonly model?: SharedArrayBuffer;
  readonly outputNames: readonly string[];
  readonly settle: boolean;
  readonly stepwise: boolean;
  /** The side's arrays in a record. */
  readonly from: number;
  readonly count: number;
  /** How the floats of its inputs become integers. */
  readonly integerInputs?: readonly (Integers | null)[];
  readonly sources: readonly Source[];
}

export interface CompareJob {
  /** Both models' bytes are in `sides`. */
  readonly model?: undefined;
  readonly library: WebAssembly.Module;
  readonly fastMath: boolean;
  readonly sides: readonly [SideJob, SideJob];
  /** State stays from record to record. */
  readonly sequence: boolean;
  /**
   * `sums`: a packed record (metrics.ts) after each record. `eval-diff`: float32 accumulators over records, given at the end; for one worker,
   * because the order of records matters.
   */
  readonly measure: "sums" | "eval-diff";
  /** With `eval-diff`: writes outputs to PREFIX.RECORD.first.outputK and PREFIX.RECORD.second.outputK. */
  readonly dumpPrefix?: string;
}

/** A pair of tensors that is compared while the second model runs. */
export interface Looked {
  /** Its place among the pairs; for the main thread. */
  readonly pair: number;
  readonly dtypes: readonly [Dtype, Dtype];
  /** The second model's bytes are integers that stand for floats. */
  readonly integers?: Integers;
  /** Where the first model's values are: kept, or an input's data. */
  readonly first: { readonly place: SpilledTensor } | { readonly input: number };
  /** The second model's tensor, or an input's data. */
  readonly second: number | { readonly input: number };
}

/** A part of the second model, after the first one was run (in-parts.ts). */
export interface PartJob {
  readonly measure: "part";
  readonly chain: ChainPlan;
  readonly library: WebAssembly.Module;
  readonly fastMath: boolean;
  readonly looked: readonly Looked[];
  /** How the floats of the second model's inputs become integers. */
  readonly integerInputs?: readonly (Integers | null)[];
}

/** A model in this worker; without one its data are all there is to look at. */
interface Runner {
  readonly side: SideJob;
  readonly engine: Pick<Engine, "hold" | "close"> | null;
  settled: boolean;
}

/** Bytes that one side's loaded operators may take where it is run operator by operator. */
const ROOM = 0.25 * MEMORY_LIMIT;

/** Places of failures. */
const SIDES = [0, 1] as const;

declare const self: Worker;

compileAsUsual();

let job: CompareJob;
let part: PartRunner | undefined;
let runners: Runner[] = [];
let evals: EvalDiff[] = [];

async function handle(message: ToWorker<CompareJob | PartJob>): Promise<FromWorker> {
  switch (message.kind) {
    case "job":
      if (message.job.measure === "part") {
        part = new PartRunner(await openInstance(message.job.library, message.job.fastMath), message.job);
        return { kind: "ready" };
      }
      job = message.job;
      evals = [];
      runners = [];
      for (const side of SIDES) runners.push(await load(side));
      return { kind: "ready" };
    case "load":
      await part!.chain.load(new Uint8Array(message.bytes, 0, message.length));
      return { kind: "ready" };
    case "record":
      if (part)
        return { kind: "record", record: message.record, result: await part.run(message.record, message.inputs) };
      return {
        kind: "record",
        record: message.record,
        result: await compareRecord(message.record, message.inputs, message.shapes),
      };
    case "end":
      part?.close();
      for (const { engine } of runners) engine?.close();
      return { kind: "end", result: evals.map((each) => each.result()) };
  }
}

/** Runs a part of the second model and compares its tensors with what was kept of the first one's. */
class PartRunner {
  readonly chain: Chain;
  private readonly spill = new SpillAccess();
  /** By tensor of the second model: places among `looked`. */
  private readonly places: ReadonlyMap<number, readonly number[]>;

  constructor(
    instance: Instance,
    private readonly job: PartJob,
  ) {
    this.chain = new Chain(instance, job.chain);
    const places = new Map<number, number[]>();
    for (const [i, { second }] of job.looked.entries())
      if (typeof second === "number") places.set(second, [...(places.get(second) ?? []), i]);
    this.places = places;
  }

  async run(record: number, inputs: readonly Uint8Array[]): Promise<Float64Array> {
    const own = fed(inputs, this.job.integerInputs);
    const sums = new Float64Array(this.job.looked.length * PACKED);
    const compare = (place: number, b: Uint8Array): void => {
      const { first, dtypes, integers } = this.job.looked[place]!;
      let a: Uint8Array;
      if ("input" in first) a = inputs[first.input]!;
      else {
        a = new Uint8Array(first.place.bytes);
        this.spill.read(first.place, record, a);
      }
      pack(sums, place, sumsOf(numbersOf(a, dtypes[0]), valuesOf(b, dtypes[1], integers)));
    };
    for (const [place, { second }] of this.job.looked.entries())
      if (typeof second !== "number") compare(place, own[second.input]!);
    await this.chain.run(record, own, (tensor, lent) => {
      for (const place of this.places.get(tensor) ?? []) compare(place, lent.bytes());
    });
    return sums;
  }

  close(): void {
    this.chain.close();
    this.spill.close();
  }
}

async function load(index: 0 | 1): Promise<Runner> {
  const side = job.sides[index];
  const { library, fastMath } = job;
  const open = async (model: SharedArrayBuffer) =>
    side.stepwise
      ? new Stepwise(await openInstance(library, fastMath), { model, sequence: job.sequence, room: ROOM })
      : loadEngine(new Uint8Array(model), side.outputNames, library, fastMath);
  const engine = side.model ? await of(index, () => open(side.model!)) : null;
  return { side, engine, settled: false };
}

async function compareRecord(
  record: number,
  inputs: readonly Uint8Array[],
  shapes?: Shapes,
): Promise<Float64Array | undefined> {
  const held: (Held | null)[] = [];
  const own = job.sides.map(({ from, count, integerInputs }) => fed(inputs.slice(from, from + count), integerInputs));
  try {
    for (const index of SIDES) held.push(await of(index, () => run(runners[index]!, own[index]!, shapes)));
    const pairs = job.sides[0].sources.length;
    const sums = job.measure === "sums" ? new Float64Array(pairs * PACKED) : undefined;
    for (let pair = 0; pair < pairs; pair++) {
      look(0, pair, held[0]!, own[0]!, (bytesOfA, a) =>
        look(1, pair, held[1]!, own[1]!, (bytesOfB, b) => {
          if (sums) return pack(sums, pair, sumsOf(a(), b()));
          if (record === 0) evals.push(new EvalDiff(a().length));
          evals[pair]!.add(a(), b());
          dump(record, "first", pair, bytesOfA());
          dump(record, "second", pair, bytesOfB());
        }),
      );
    }
    return sums;
  } finally {
    for (const each of held) each?.release();
  }
}

/** What a side is fed: floats, or the integers that stand for them. */
function fed(inputs: readonly Uint8Array[], integers: SideJob["integerInputs"]): readonly Uint8Array[] {
  return integers ? inputs.map((bytes, i) => (integers[i] ? quantizedBytes(bytes, integers[i]) : bytes)) : inputs;
}

async function run(runner: Runner, own: readonly Uint8Array[], shapes?: Shapes): Promise<Held | null> {
  const { side, engine } = runner;
  if (!engine) return null;
  // The first record is run twice where shapes follow from data (src/calibration/recorder.ts).
  if (side.settle && !side.stepwise && !runner.settled) (await engine.hold(own)).release();
  runner.settled = true;
  return engine.hold(own, shapes?.slice(side.from, side.from + side.count));
}

/** Shows a tensor: its bytes and its numbers, asked for when both sides are there, because looking may move LiteRT's memory. */
function look(
  index: 0 | 1,
  pair: number,
  held: Held | null,
  own: readonly Uint8Array[],
  see: (bytes: () => Uint8Array, numbers: () => ArrayLike<number>) => void,
): void {
  const { dtype, integers, input, result } = job.sides[index].sources[pair]!;
  if (input !== undefined) {
    const bytes = own[input]!;
    return see(
      () => bytes,
      () => valuesOf(bytes, dtype, integers),
    );
  }
  held!.look(result!, (bytes) => see(bytes, () => valuesOf(bytes(), dtype, integers)));
}

function dump(record: number, which: "first" | "second", output: number, bytes: Uint8Array): void {
  if (job.dumpPrefix !== undefined) writeFileSync(`${job.dumpPrefix}.${record}.${which}.output${output}`, bytes);
}

/** Says of which side a failure is. */
async function of<T>(index: 0 | 1, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new PlacedError(index, error);
  }
}

let queue: Promise<void> = Promise.resolve();
self.onmessage = (event: MessageEvent<ToWorker<CompareJob | PartJob>>) => {
  const message = event.data;
  queue = queue.then(async () => {
    let answer: FromWorker;
    try {
      answer = await handle(message);
    } catch (error) {
      answer = { kind: "error", ...failureOf(error, message.kind === "record" ? message.record : undefined) };
    }
    self.postMessage(answer);
  });
};
