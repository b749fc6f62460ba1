/**
 * A worker: one engine, one observer, records one after the other. Second entry point of the executable (pool.ts starts it).
 */

import { reasonOf } from "../errors.ts";
import { type Engine, loadEngine } from "./litert.ts";
import { OBSERVERS, type Observer, type ObserverKind } from "./observe.ts";

/** What a worker is to do, told once. Everything here is the same for all workers of a recording. */
export interface Job {
  /** The instrumented TFL3 model in shared memory; absent when inputs are all there is to observe. */
  readonly model?: SharedArrayBuffer;
  /** LiteRT, compiled (compileLibrary); with the model. */
  readonly library?: WebAssembly.Module;
  readonly outputNames: readonly string[];
  /** Which model inputs are observed themselves; they come before the outputs in the list of observed tensors. */
  readonly observedInputs: readonly number[];
  readonly observer: ObserverKind;
  /** One entry an observed tensor: whether ±inf counts as ±FLT_MAX (finite.ts). */
  readonly finite: readonly boolean[];
  /**
   * Shapes may follow from data: then LiteRT learns in the first run that it cannot show a result, gives rubbish, and says so in the
   * second. The first record is run twice.
   */
  readonly settle: boolean;
  readonly fastMath: boolean;
}

/** What a worker is asked; the comparing worker (src/compare) is asked the same with a job of its own. */
export type ToWorker<J = Job> =
  | { readonly kind: "job"; readonly job: J }
  | { readonly kind: "record"; readonly record: number; readonly inputs: readonly Uint8Array[] }
  | { readonly kind: "end" };

export type FromWorker =
  | { readonly kind: "ready" }
  | { readonly kind: "record"; readonly record: number; readonly result: unknown }
  | { readonly kind: "end"; readonly result: unknown }
  | { readonly kind: "error"; readonly record?: number; readonly reason: string };

declare const self: Worker;

let job: Job;
let engine: Engine | undefined;
let observer: Observer;
let settled = false;

async function handle(message: ToWorker): Promise<FromWorker> {
  switch (message.kind) {
    case "job":
      job = message.job;
      observer = OBSERVERS[job.observer](job.finite);
      if (job.model !== undefined) {
        engine = await loadEngine(new Uint8Array(job.model), job.outputNames, job.library!, job.fastMath);
      }
      return { kind: "ready" };
    case "record":
      job.observedInputs.forEach((input, i) => {
        observer.see(i, floatsOf(message.inputs[input]!));
      });
      if (job.settle && !settled) await engine?.run(message.inputs, () => {});
      settled = true;
      await engine?.run(message.inputs, (output, bytes) => {
        observer.see(job.observedInputs.length + output, floatsOf(bytes));
      });
      return { kind: "record", record: message.record, result: observer.endOfRecord() };
    case "end":
      engine?.close();
      return { kind: "end", result: observer.end() };
  }
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
      answer = {
        kind: "error",
        record: message.kind === "record" ? message.record : undefined,
        reason: reasonOf(error),
      };
    }
    self.postMessage(answer);
  });
};
