/**
 * Workers that have LiteRT (src/engine/worker.ts), kept where they can be of use again.
 *
 * Starting one takes a tenth of a second of computing, and the first run of each kernel as much again, because it is compiled then. So a
 * Worker whose work went well waits for the next: the trial run after recording, the next model of a batch. Its memory never shrinks: one
 * whose memory has grown past KEPT_BYTES ends, as does one in which anything failed. Where memory is limited none is kept, because
 * estimates count on new ones.
 */
import { startWorker } from "../workers.ts";
import { compileLibrary } from "./litert.ts";

/** Bytes of LiteRT's memory up to which a Worker is kept. */
const KEPT_BYTES = 96 << 20;

/** What Bun's Workers have beside those of browsers. */
interface Held {
  ref(): void;
  unref(): void;
}

const idle: Worker[] = [];

/** A Worker that waits, else a new one. The taker ends it or keeps it. */
export function takeEngine(): Worker {
  const worker = idle.pop();
  if (worker === undefined) return startWorker("engine");
  (worker as unknown as Held).ref();
  return worker;
}

/** Lets a Worker wait that has answered all that it was asked; `memory` is what its LiteRT has grown to. Its listeners must be gone. */
export function keepEngine(worker: Worker, memory: number): void {
  worker.onmessage = null;
  worker.onerror = null;
  if (memory > KEPT_BYTES || idle.length >= navigator.hardwareConcurrency) worker.terminate();
  else {
    // One that waits is no reason for the process to live.
    (worker as unknown as Held).unref();
    idle.push(worker);
  }
}

/** Gives back the memory of all that wait. */
export function dropEngines(): void {
  for (const worker of idle.splice(0)) worker.terminate();
}

/** Has LiteRT compiled, and started in a Worker, while something else is done. What goes wrong is said when it is needed. */
export function startEngine(fastMath: boolean): void {
  const compiled = compileLibrary(fastMath);
  // A thread takes a while to start, too, so it starts while LiteRT is compiled. Recording may take the Worker before LiteRT reaches it: every job
  // brings LiteRT along.
  const worker = idle.length > 0 ? undefined : startWorker("engine");
  if (worker) keepEngine(worker, 0);
  compiled.then((library) => worker?.postMessage({ kind: "warm", library, fastMath })).catch(() => {});
}
