/**
 * What a Worker does that records (src/engine/worker.ts): one LiteRT instance with a part of the model, one observer, records one after
 * the other. pool.ts asks it.
 */
import { Chain, type ChainPlan } from "./chain.ts";
import type { Failure } from "./failure.ts";
import type { Shapes } from "./inputs.ts";
import { type Instance, type Lent, openInstance } from "./litert.ts";
import type { Look, Looked } from "./look-observer.ts";
import { MomentGatherer, type Wanted } from "./moments/gather.ts";
import { type Both, OBSERVERS, type Observer, type ObserverKind, withMoments } from "./observe.ts";
import { type StepsPlan, Stepwise } from "./stepwise/stepwise.ts";

/** What a worker is to do, told once. Everything here is the same for all workers of a part. */
export interface Job {
  /** What is run; its models follow as `load`. Absent when inputs are all there is to observe. */
  readonly chain?: ChainPlan;
  /** Instead of the chain: the model is run operator by operator. */
  readonly steps?: StepsPlan;
  /** LiteRT, compiled (compileLibrary); with the chain or the steps. */
  readonly library?: WebAssembly.Module;
  readonly fastMath: boolean;
  readonly observer: ObserverKind;
  /** Tensors whose values are observed, by number, in the order of the results. */
  readonly observed: readonly ObservedTensor[];
  /**
   * Shapes may follow from data: then LiteRT learns in the first run that it cannot show a result, gives rubbish, and says so in the
   * second. The first record is run twice.
   */
  readonly settle: boolean;
  /** What operators with weights read, where that is asked for: `place` counts the observed tensors. */
  readonly moments?: readonly Wanted[];
}

export interface ObservedTensor {
  readonly tensor: number;
  /** Number of the copy's subgraph; the first where absent. */
  readonly subgraph?: number;
  /** Its place in a record's arrays; inputs of the model only. */
  readonly position?: number;
  /** Whether ±inf counts as ±FLT_MAX (finite.ts). */
  readonly finite: boolean;
  /** What is wanted of it; with the observer `looks`. */
  readonly look?: Look;
}

const NO_LOOK: Look = { channels: 0, inner: 1, whole: false };

/** What a worker is asked; the comparing worker (src/compare) is asked the same with a job of its own. */
export type ToWorker<J = Job> =
  | { readonly kind: "job"; readonly job: J }
  /** The next link's model: the first `length` bytes, which belong to the receiver after the answer. */
  | { readonly kind: "load"; readonly bytes: SharedArrayBuffer; readonly length: number }
  | {
      readonly kind: "record";
      readonly record: number;
      readonly inputs: readonly Uint8Array[];
      /** The inputs' shapes, where the model leaves them to the data; such models are run operator by operator. */
      readonly shapes?: Shapes;
    }
  | { readonly kind: "end" };

export type FromWorker =
  | { readonly kind: "ready" }
  | { readonly kind: "record"; readonly record: number; readonly result: unknown }
  /** `memory`: bytes that LiteRT's memory has grown to; only of a Worker that can take another job. */
  | { readonly kind: "end"; readonly result: unknown; readonly memory?: number }
  | ({ readonly kind: "error" } & Failure);

/** A recording in a Worker, from its job to its end. */
export class Recorder {
  private readonly chain: Chain | undefined;
  private readonly stepwise: Stepwise | undefined;
  private readonly observer: Observer;
  private readonly gatherer: MomentGatherer | undefined;
  private readonly places: ReadonlyMap<number, number>;
  private settled = false;

  private constructor(
    private readonly job: Job,
    private readonly instance: Instance | undefined,
  ) {
    if (instance && job.chain) this.chain = new Chain(instance, job.chain);
    if (instance && job.steps) this.stepwise = new Stepwise(instance, job.steps);
    const observer = OBSERVERS[job.observer](
      job.observed.map(({ finite }) => finite),
      instance?.memory,
      job.observed.map(({ look }) => look ?? NO_LOOK),
    );
    this.gatherer = job.moments && new MomentGatherer(job.moments);
    this.observer = this.gatherer ? withMoments(observer, this.gatherer) : observer;
    this.places = new Map(job.observed.map(({ tensor, subgraph = 0 }, place) => [placeKey(subgraph, tensor), place]));
  }

  static async begin(job: Job): Promise<Recorder> {
    const runs = job.chain ?? job.steps;
    return new Recorder(job, runs && (await openInstance(job.library!, job.fastMath)));
  }

  /** Answers all that follows the job. */
  async handle(message: Exclude<ToWorker, { kind: "job" }>): Promise<FromWorker> {
    switch (message.kind) {
      case "load":
        await this.chain!.load(new Uint8Array(message.bytes, 0, message.length));
        return { kind: "ready" };
      case "record":
        this.gatherer?.begin(message.record);
        await this.run(message.record, message.inputs, message.shapes);
        return { kind: "record", record: message.record, result: this.observer.endOfRecord() };
      case "end":
        this.chain?.close();
        this.stepwise?.close();
        return { kind: "end", result: this.observer.end(), memory: this.instance?.memory.buffer.byteLength };
    }
  }

  private async run(record: number, inputs: readonly Uint8Array[], shapes?: Shapes): Promise<void> {
    const { job, chain, observer, places } = this;
    if (this.stepwise) {
      const see = (subgraph: number, tensor: number, bytes: Uint8Array) => {
        const place = places.get(placeKey(subgraph, tensor));
        if (place !== undefined) observer.see(place, floatsOf(bytes));
      };
      await this.stepwise.run(inputs, see, shapes);
      return;
    }
    const see = (tensor: number, lent: Lent): void => {
      const place = places.get(tensor);
      if (place === undefined) return;
      if (observer.seeInPlace) observer.seeInPlace(place, lent.at, lent.size / 4, () => floatsOf(lent.bytes()));
      else observer.see(place, floatsOf(lent.bytes()));
    };
    if (job.settle && !this.settled) await chain?.run(record, inputs, () => {});
    this.settled = true;
    await chain?.run(record, inputs, see, see);
    // Inputs that no operator reads are nowhere but here.
    for (const [place, { tensor, position }] of job.observed.entries())
      if (position !== undefined && !chain?.reads(tensor)) observer.see(place, floatsOf(inputs[position]!));
  }
}

/** The memory of large lists in an answer, which the Worker has no further use for: handed over, it is there once, not twice. */
export function givenAway(answer: FromWorker): ArrayBuffer[] {
  if (answer.kind !== "record") return [];
  const { result } = answer;
  const lists = isBoth(result)
    ? result.moments.vectors
    : Array.isArray(result)
      ? (result as readonly Looked[]).map(({ values }) => values)
      : [];
  const buffers = lists.flatMap((list) => (list && list.length > 0 ? [list.buffer as ArrayBuffer] : []));
  return [...new Set(buffers)];
}

function isBoth(result: unknown): result is Both {
  return typeof result === "object" && result !== null && "moments" in result;
}

/** One number for a tensor of a subgraph; that of the tensor in the first one. */
function placeKey(subgraph: number, tensor: number): number {
  return subgraph * 2 ** 32 + tensor;
}

/** Records are little-endian bytes, as is every machine that runs WASM at speed. */
function floatsOf(bytes: Uint8Array): Float32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
}
