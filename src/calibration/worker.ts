/**
 * A worker: one LiteRT instance with a part of the model, one observer, records one after the other. Second entry point of the
 * executable (pool.ts starts it).
 */

import { compileAsUsual } from "../base/optimizer.ts";
import { Chain, type ChainPlan } from "./chain.ts";
import { type Failure, failureOf } from "./failure.ts";
import type { Shapes } from "./inputs.ts";
import { type Lent, openInstance } from "./litert.ts";
import type { Look } from "./look-observer.ts";
import { MomentGatherer, type Wanted } from "./moments/gather.ts";
import { OBSERVERS, type Observer, type ObserverKind, withMoments } from "./observe.ts";
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
  | { readonly kind: "end"; readonly result: unknown }
  | ({ readonly kind: "error" } & Failure);

declare const self: Worker;

compileAsUsual();

let job: Job;
let chain: Chain | undefined;
let stepwise: Stepwise | undefined;
let observer: Observer;
let gatherer: MomentGatherer | undefined;
let places: ReadonlyMap<number, number>;
let settled = false;

async function handle(message: ToWorker): Promise<FromWorker> {
  switch (message.kind) {
    case "job": {
      job = message.job;
      const runs = job.chain ?? job.steps;
      const instance = runs && (await openInstance(job.library!, job.fastMath));
      if (instance && job.chain) chain = new Chain(instance, job.chain);
      if (instance && job.steps) stepwise = new Stepwise(instance, job.steps);
      observer = OBSERVERS[job.observer](
        job.observed.map(({ finite }) => finite),
        instance?.memory,
        job.observed.map(({ look }) => look ?? NO_LOOK),
      );
      gatherer = job.moments && new MomentGatherer(job.moments);
      if (gatherer) observer = withMoments(observer, gatherer);
      places = new Map(job.observed.map(({ tensor, subgraph = 0 }, place) => [placeKey(subgraph, tensor), place]));
      return { kind: "ready" };
    }
    case "load":
      await chain!.load(new Uint8Array(message.bytes, 0, message.length));
      return { kind: "ready" };
    case "record":
      gatherer?.begin(message.record);
      await run(message.record, message.inputs, message.shapes);
      return { kind: "record", record: message.record, result: observer.endOfRecord() };
    case "end":
      chain?.close();
      stepwise?.close();
      return { kind: "end", result: observer.end() };
  }
}

/** One number for a tensor of a subgraph; that of the tensor in the first one. */
function placeKey(subgraph: number, tensor: number): number {
  return subgraph * 2 ** 32 + tensor;
}

async function run(record: number, inputs: readonly Uint8Array[], shapes?: Shapes): Promise<void> {
  if (stepwise) {
    const see = (subgraph: number, tensor: number, bytes: Uint8Array) => {
      const place = places.get(placeKey(subgraph, tensor));
      if (place !== undefined) observer.see(place, floatsOf(bytes));
    };
    await stepwise.run(inputs, see, shapes);
    return;
  }
  const see = (tensor: number, lent: Lent): void => {
    const place = places.get(tensor);
    if (place === undefined) return;
    if (observer.seeInPlace) observer.seeInPlace(place, lent.at, lent.size / 4, () => floatsOf(lent.bytes()));
    else observer.see(place, floatsOf(lent.bytes()));
  };
  if (job.settle && !settled) await chain?.run(record, inputs, () => {});
  settled = true;
  await chain?.run(record, inputs, see, see);
  // Inputs that no operator reads are nowhere but here.
  for (const [place, { tensor, position }] of job.observed.entries())
    if (position !== undefined && !chain?.reads(tensor)) observer.see(place, floatsOf(inputs[position]!));
}

/** Records are little-endian bytes, as is every machine that runs WASM at speed. */
function floatsOf(bytes: Uint8Array): Float32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
}

// Messages are handled one after the other, although each takes its time.
let queue: Promise<void> = Promise.resolve();
self.onmessage = (event: MessageEvent<ToWorker>) => {
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
