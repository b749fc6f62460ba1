/** Sharing the pieces of large constants among threads: one counter in shared memory says which piece comes next. */

import { closeSync, openSync } from "node:fs";
import { availableParallelism } from "node:os";
import { MinmaxqError, type Problems, reasonOf } from "../errors.ts";
import { FileBytes, writeAll } from "../model/bytes.ts";
import type { FillTarget } from "../model/index.ts";
import { addSpans, keepTimings, type Span, takeSpans, timingsKept } from "../timings.ts";
import { startWorker } from "../workers.ts";
import type { Constant } from "./constant.ts";
import { streamPiece } from "./encode.ts";
import { type KernelStream, loadKernels } from "./kernels.ts";
import type { Piece } from "./pieces.ts";

type EncodedConstant = Constant & { kind: "encoded" };

/** A constant that any thread can work on: its bytes are in a file, its parameters in shared memory. */
export interface SharedJob {
  readonly name: string;
  readonly constant: EncodedConstant;
  /** Of its first byte in the new file. */
  readonly offset: number;
}

/** One piece of one job. */
export interface Task {
  readonly job: number;
  readonly piece: Piece;
}

/** What a Worker gets. Sources are given by path; each thread opens files by itself. */
export interface WorkOrder {
  readonly jobs: readonly SharedJob[];
  readonly tasks: readonly Task[];
  readonly counter: Int32Array;
  readonly output: string;
  /** Whether spans of the work are wanted. */
  readonly timings: boolean;
}

export type WorkReport = { problems: string[]; spans: Span[] } | { failed: string };

/** The job, or null when its description cannot go to another thread. */
export function sharedJob(name: string, constant: EncodedConstant, offset: number): SharedJob | null {
  return shareable(constant) ? { name, constant, offset } : null;
}

function shareable(constant: Constant): boolean {
  switch (constant.kind) {
    case "stored":
      return constant.content.source.path !== undefined;
    case "dense":
      return false;
    case "encoded":
      return constant.encoding.rule !== "bias" && shareable(constant.of);
    default:
      return shareable(constant.of);
  }
}

/** A description whose source is only a path, for the message to a Worker; `open` gives it a source again. */
function overSources(constant: Constant, source: (path: string) => unknown): Constant {
  if (constant.kind === "stored") {
    const { content } = constant;
    return { ...constant, content: { ...content, source: source(content.source.path!) as never } };
  }
  return { ...constant, of: overSources(constant.of, source) } as Constant;
}

/** Works on all tasks with `threads` threads, this one among them. */
export async function takePieces(
  jobs: readonly SharedJob[],
  tasks: readonly Task[],
  target: FillTarget,
  threads: number,
  stream: KernelStream,
  problems: Problems,
): Promise<void> {
  if (tasks.length === 0) return;
  const counter = new Int32Array(new SharedArrayBuffer(4));
  const order: WorkOrder = {
    jobs: jobs.map((job) => ({ ...job, constant: overSources(job.constant, (path) => ({ path })) as EncodedConstant })),
    tasks,
    counter,
    output: target.path!,
    timings: timingsKept(),
  };
  const others = Array.from({ length: threads - 1 }, (_, i) => workElsewhere(order, `weights ${i + 1}`));
  // This thread starts at once; the others join when they are up.
  const own = work(jobs, tasks, counter, stream, (bytes, offset) => target.write(bytes, offset));
  const reports = await Promise.all([own, ...others]);
  for (const problem of reports.flat()) problems.add(problem);
}

/** Workers that were started before there was work. */
const waiting: Worker[] = [];

/** Below this many bytes of model nobody is started early: its weights may not be worth a second thread. */
const LARGE_MODEL = 256 << 20;

/** Starts a Worker while the tables of a large model are read, so that it is up when the weights come. */
export function startEarly(modelBytes: number): void {
  if (modelBytes >= LARGE_MODEL && waiting.length === 0 && availableParallelism() > 1)
    waiting.push(startWorker("weights"));
}

function workElsewhere(order: WorkOrder, track: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const worker = waiting.pop() ?? startWorker("weights");
    const end = (settle: () => void) => {
      worker.terminate();
      settle();
    };
    worker.onmessage = ({ data }: MessageEvent<WorkReport>) =>
      end(() => {
        if ("failed" in data) return reject(new MinmaxqError(data.failed));
        addSpans(track, data.spans);
        resolve(data.problems);
      });
    worker.onerror = (event) =>
      end(() => reject(new MinmaxqError(`a worker thread of the weight stream ended: ${event.message}`)));
    worker.postMessage(order);
  });
}

/** A Worker's whole job. */
export async function workOn(order: WorkOrder): Promise<WorkReport> {
  if (order.timings) keepTimings();
  const sources = new Map<string, FileBytes>();
  let fd: number | undefined;
  try {
    fd = openSync(order.output, "r+");
    const output = fd;
    const source = (path: string) => {
      const known = sources.get(path) ?? new FileBytes(path);
      sources.set(path, known);
      return known;
    };
    const jobs = order.jobs.map((job) => ({
      ...job,
      constant: overSources(job.constant, source) as EncodedConstant,
    }));
    const write = (bytes: Uint8Array, offset: number) => writeAll(output, bytes, offset);
    const problems = await work(jobs, order.tasks, order.counter, loadKernels().stream, write);
    return { problems, spans: takeSpans() };
  } catch (error) {
    return { failed: reasonOf(error) };
  } finally {
    if (fd !== undefined) closeSync(fd);
    for (const each of sources.values()) each.close();
  }
}

/** Milliseconds after which a thread lets others of its events (signals) through. */
const PAUSE_EVERY = 50;

/** Takes task after task until none is left. */
async function work(
  jobs: readonly SharedJob[],
  tasks: readonly Task[],
  counter: Int32Array,
  stream: KernelStream,
  write: (bytes: Uint8Array, offset: number) => void,
): Promise<string[]> {
  const problems: string[] = [];
  let paused = performance.now();
  for (;;) {
    if (performance.now() - paused > PAUSE_EVERY) {
      // Ctrl-C is seen between pieces.
      await new Promise((resume) => setImmediate(resume));
      paused = performance.now();
    }
    const next = Atomics.add(counter, 0, 1);
    const task = tasks[next];
    if (!task) return problems;
    const { name, constant, offset } = jobs[task.job]!;
    const problem = streamPiece(stream, name, constant, task.piece, true, (bytes) =>
      write(bytes, offset + task.piece.first * constant.bytes),
    );
    if (problem) problems.push(problem);
  }
}
