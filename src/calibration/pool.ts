/**
 * Runs records on workers. Each worker takes the next record when it is free; results are put in record order, so they do not depend
 * on the number of workers or on who was faster.
 */
import { freemem, totalmem } from "node:os";
import { MinmaxqError } from "../base/errors.ts";
import { residentMemory } from "../base/memory.ts";
import { compileAsUsual } from "../base/optimizer.ts";
import { startWorker, type WorkerName } from "../workers.ts";
import type { DataSet } from "./dataset.ts";
import { keepEngine, takeEngine } from "./engines.ts";
import { contradictsSizes, type Failure, SIZES_CONTRADICTED } from "./failure.ts";
import type { FromWorker, ToWorker } from "./recorder.ts";

/** What one worker needs before it holds any model (measured: 35 MB resident, 55 MB when LiteRT's code is hot). */
export const WORKER_BYTES = 60e6;

export interface PoolOptions {
  /** Number of workers; by default as many as there are cores, records and memory. */
  workers?: number;
  /** Bytes that a worker's models, their results and its observer take, when `workers` is left open. */
  workerBytes?: number;
  /** What runs in the workers, and is told the job; by default what has LiteRT and records. */
  worker?: WorkerName;
  /** Workers may have done something before, and be kept for what comes after (engines.ts). */
  reuse?: boolean;
  /** The first worker begins alone, and others come when there is more left to do than they take to start. */
  patient?: boolean;
  /**
   * Models that every worker loads before its first record, one after the other: the first `length` bytes, free again when the next one
   * is asked for.
   */
  models?(): AsyncIterable<{ readonly bytes: SharedArrayBuffer; readonly length: number }>;
  /** Takes each record's result, in any order; without it all are kept and returned. */
  onResult?(record: number, result: unknown): void;
  /** Called after each record. */
  onProgress?(done: number, total: number): void;
}

/** How many workers to start: never more than records; by default as many as cores and three quarters of the free memory allow. */
function workerCount(records: number, { workers, workerBytes = 0 }: PoolOptions): number {
  if (workers !== undefined) return Math.max(1, Math.min(workers, records));
  const fit = Math.floor(freeMemory() / (WORKER_BYTES + workerBytes));
  return Math.max(1, Math.min(navigator.hardwareConcurrency, records, fit));
}

/** Bytes that running samples may take where no limit was given: three quarters of what is free, of the machine or of the container. */
export function freeMemory(): number {
  const container = process.constrainedMemory();
  const left = container > 0 ? container - residentMemory() : Number.POSITIVE_INFINITY;
  return 0.75 * Math.min(unusedMemory(), left);
}

/** Bytes of the machine that can be had. macOS counts only what nothing uses at all, and keeps the rest filled with files that it would drop. */
export function unusedMemory(): number {
  return process.platform === "darwin" ? Math.max(freemem(), totalmem() / 2) : freemem();
}

/**
 * Runs every record of `data` and gives what the observers said of each, in record order, and what each worker's observer said at its
 * end. `explain` makes a message of what a worker says went wrong. Throws MinmaxqError.
 */
export async function runRecords<Job>(
  job: Job,
  data: DataSet,
  options: PoolOptions,
  explain: (failure: Failure) => string,
): Promise<{ records: unknown[]; ends: unknown[] }> {
  compileAsUsual();
  const results: unknown[] = new Array(options.onResult ? 0 : data.count);
  const ends: unknown[] = [];
  const workers: WorkerHandle<Job>[] = [];
  const records = data.records()[Symbol.asyncIterator]();
  // Records are read by one at a time: an async generator answers overlapping next() calls in order.
  let given = 0;
  let done = 0;
  let onTime: (milliseconds: number) => void = () => {};
  const drive = async (worker: WorkerHandle<Job>): Promise<void> => {
    for (;;) {
      const next = await records.next();
      if (next.done) break;
      const record = given++;
      const began = performance.now();
      const answer = await worker.ask({ kind: "record", record, inputs: next.value, shapes: data.shapes?.(record) });
      if (answer.kind === "record") {
        if (options.onResult) options.onResult(answer.record, answer.result);
        else results[answer.record] = answer.result;
      }
      options.onProgress?.(++done, data.count);
      onTime(performance.now() - began);
    }
    const answer = await worker.ask({ kind: "end" });
    if (answer.kind === "end") ends.push(answer.result);
  };
  const start = async (more: number): Promise<void> => {
    const started = Array.from({ length: more }, () => new WorkerHandle<Job>(options, explain));
    workers.push(...started);
    await Promise.all(started.map((worker) => worker.ask({ kind: "job", job })));
    if (options.models)
      for await (const model of options.models())
        await Promise.all(started.map((worker) => worker.ask({ kind: "load", ...model })));
    await Promise.all(started.map(drive));
  };
  try {
    const count = workerCount(data.count, options);
    if (options.patient && count > 1) {
      // All others at once: models come to them through memory that they share.
      let others: Promise<void> | undefined;
      onTime = (milliseconds) => {
        if (given > 1 && (data.count - given) * milliseconds > WORTH_WORKERS) others ??= start(count - 1);
        others?.catch(() => {});
      };
      await start(1);
      await others;
    } else await start(count);
    for (const worker of workers) worker.stop(options.reuse);
  } finally {
    for (const worker of workers) worker.stop();
    await records.return?.();
  }
  if (given !== data.count) throw new Error(`${data.description} gave ${given} records, ${data.count} were announced`);
  return { records: results, ends };
}

/** Milliseconds of records that are left from which it is worth to start other workers (measured: each takes 130 to 300 of computing). */
const WORTH_WORKERS = 800;

/** One worker, asked one thing at a time. Whatever goes wrong in it becomes a MinmaxqError of the question that is open. */
class WorkerHandle<Job> {
  private readonly worker: Worker;
  private open: { resolve(answer: FromWorker): void; reject(error: Error): void } | undefined;
  /** The record that is being run, for messages. */
  private record: number | undefined;
  private failure: Error | undefined;
  private stopped = false;
  /** What LiteRT's memory has grown to; known once the worker has come to its end in good order. */
  private memory: number | undefined;
  private readonly onClose = () => {
    if (!this.stopped) this.fail({ reason: "the worker ended by itself (out of memory?); try fewer workers" });
  };

  constructor(
    { worker, reuse = false }: PoolOptions,
    private readonly explain: (failure: Failure) => string,
  ) {
    this.worker = worker === undefined && reuse ? takeEngine() : startWorker(worker ?? "engine");
    this.worker.onmessage = (event: MessageEvent<FromWorker>) => {
      const answer = event.data;
      if (answer.kind === "end") this.memory = answer.memory;
      if (answer.kind === "error") this.fail(answer);
      else this.settle((open) => open.resolve(answer));
    };
    this.worker.onerror = (event: ErrorEvent) => {
      event.preventDefault?.();
      this.fail({ reason: `the worker crashed: ${event.message || "no reason given"}` });
    };
    this.worker.addEventListener("close", this.onClose);
  }

  ask(message: ToWorker<Job>): Promise<FromWorker> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    this.record = message.kind === "record" ? message.record : undefined;
    return new Promise((resolve, reject) => {
      this.open = { resolve, reject };
      // Inputs are the receiver's (DataSet.records): their memory moves over instead of being copied.
      const transfer =
        message.kind === "record" ? [...new Set(message.inputs.map((bytes) => bytes.buffer as ArrayBuffer))] : [];
      this.worker.postMessage(message, transfer);
    });
  }

  /** Ends it, or lets it wait for other work where it has nothing left to do. */
  stop(keep = false): void {
    if (this.stopped) return;
    this.stopped = true;
    this.worker.removeEventListener("close", this.onClose);
    if (keep && this.memory !== undefined && this.failure === undefined) keepEngine(this.worker, this.memory);
    else this.worker.terminate();
  }

  private fail(failure: Failure): void {
    const code = contradictsSizes(failure.reason) ? SIZES_CONTRADICTED : undefined;
    this.failure ??= new MinmaxqError(this.explain({ ...failure, record: this.record }), { code });
    const error = this.failure;
    this.settle((open) => open.reject(error));
  }

  private settle(how: (open: NonNullable<WorkerHandle<Job>["open"]>) => void): void {
    const open = this.open;
    this.open = undefined;
    if (open !== undefined) how(open);
  }
}
