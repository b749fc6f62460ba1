/**
 * Sharing tasks among threads: one counter in shared memory says which task comes next.
 *
 * Each thread has its own instance of the kernels and its own file handles; results go to places that are known before, so
 * the number of threads cannot show in them. This thread works, too.
 */
import { closeSync, openSync } from "node:fs";
import { MinmaxqError, receivedError, type SentError, sentError } from "../base/errors.ts";
import { passingSignals } from "../base/interrupt.ts";
import { addSpans, keepTimings, type Span, takeSpans, timingsKept } from "../base/timings.ts";
import { FileBytes, writeAll } from "../model/bytes.ts";
import { startWorker } from "../workers.ts";
import type { Constant } from "./constant.ts";
import { compiledKernels, type KernelStream, loadKernels } from "./kernels.ts";
import { PieceOutput, Turn, type Write } from "./output.ts";
import { bytesOfTasks, type Filling, scanTask, type Task, tasksOf, writeTask } from "./tasks.ts";

/** What is done with tasks: ranges noted, or bytes written. */
export type Work = "scan" | "write";

/** What a Worker gets. Sources are given by path; each thread opens files by itself. */
export interface WorkOrder {
  readonly work: Work;
  readonly fillings: readonly Filling[];
  readonly tasks: readonly Task[];
  /** [the next task, whose turn it is to write], in shared memory. */
  readonly shared: Int32Array;
  /** The file to write to; not needed to scan. */
  readonly output: string | undefined;
  /** Whether spans of the work are wanted. */
  readonly timings: boolean;
}

type WorkReport = { problems: Problem[]; spans: Span[] } | { failed: SentError };

/** What is wrong with the values of a constant, which is at `offset` of the file. */
export interface Unusable {
  readonly offset: number;
  readonly text: string;
}

/** The same, and which task found it. */
interface Problem extends Unusable {
  readonly task: number;
}

/** Most threads that ever helped: beyond them the disk and the memory are the limit. */
const MOST_THREADS = 8;
/** Below this many bytes of weights a second thread costs more than it brings. */
export const WORTH_A_WORKER = 48 << 20;

/** Threads of the machine, or fewer as MINMAXQ_THREADS says. */
export function threadsAllowed(): number {
  const wanted = Number(process.env.MINMAXQ_THREADS ?? "");
  const most = Math.min(navigator.hardwareConcurrency, MOST_THREADS);
  return Number.isInteger(wanted) && wanted >= 1 ? Math.min(wanted, MOST_THREADS) : most;
}

/** Threads that are worth their start for `bytes` of weights. */
export function threadsFor(bytes: number, most: number): number {
  return bytes < WORTH_A_WORKER ? 1 : Math.max(1, Math.min(most, MOST_THREADS));
}

/** Whether a constant can be read by another thread: its bytes are in a file. */
export function shareable(constant: Constant): boolean {
  if (constant.kind === "stored") return constant.content.source.path !== undefined;
  return shareable(constant.of) && (constant.kind !== "blockwise" || shareable(constant.scales));
}

/** A description whose source is only a path, for the message to a Worker; with sources put back there. */
function overSources(constant: Constant, source: (path: string) => unknown): Constant {
  if (constant.kind === "stored") {
    const { content } = constant;
    return { ...constant, content: { ...content, source: source(content.source.path!) as never } };
  }
  const over = { ...constant, of: overSources(constant.of, source) } as Constant;
  return over.kind === "blockwise" ? { ...over, scales: overSources(over.scales, source) } : over;
}

/** The Workers of one weight stream. They are started when work is given to them, and kept for what comes next. */
export class Threads {
  /** Workers that have nothing to do. */
  private readonly idle: Worker[] = [];
  private ended = false;

  /** Starts a Worker now, so that it is up when there is work. */
  start(): void {
    this.idle.push(started());
  }

  /** Whether a Worker is there that has nothing to do. */
  get isOneIdle(): boolean {
    return this.idle.length > 0;
  }

  /** Gives an order to a Worker, and what is wrong with values when it is done. `track` names it in the timings. */
  give(order: WorkOrder, track: string): Promise<Problem[]> {
    return new Promise((resolve, reject) => {
      const worker = this.idle.pop() ?? started();
      worker.onmessage = ({ data }: MessageEvent<WorkReport>) => {
        if (this.ended) worker.terminate();
        else this.idle.push(worker);
        if ("failed" in data) return reject(receivedError(data.failed));
        addSpans(track, data.spans);
        resolve(data.problems);
      };
      worker.onerror = (event) => {
        worker.terminate();
        reject(new MinmaxqError(`a worker thread of the weight stream ended: ${event.message}`));
      };
      worker.postMessage(order);
    });
  }

  /** Ends the Workers: idle ones now, each other one when it has done its work. */
  end(): void {
    this.ended = true;
    for (const worker of this.idle.splice(0)) worker.terminate();
  }
}

function started(): Worker {
  const worker = startWorker("weights");
  worker.postMessage(compiledKernels());
  return worker;
}

/** Work on fillings that threads share. */
export class Sharing {
  private readonly tasks: readonly Task[];
  private readonly shared = new Int32Array(new SharedArrayBuffer(8));
  private readonly reports: Promise<Problem[]>[] = [];

  /** `output`: the file under way, which Workers open by themselves; scans need none. */
  constructor(
    private readonly threads: Threads,
    readonly work: Work,
    readonly fillings: readonly Filling[],
    readonly output: string | undefined,
  ) {
    this.tasks = tasksOf(fillings);
  }

  /** Lets Workers begin until there are `threads` threads, the calling one among them. */
  ask(threads: number): void {
    const wanted = Math.min(threads, this.tasks.length) - 1;
    if (this.reports.length >= wanted) return;
    const order: WorkOrder = {
      work: this.work,
      fillings: this.fillings.map((filling) => ({
        ...filling,
        constant: overSources(filling.constant, (path) => ({ path })),
      })),
      tasks: this.tasks,
      shared: this.shared,
      output: this.output,
      timings: timingsKept(),
    };
    while (this.reports.length < wanted) {
      const report = this.threads.give(order, `weights ${this.reports.length + 1}`);
      // It may fail long before it is waited for.
      report.catch(() => {});
      this.reports.push(report);
    }
  }

  /** Whether a Worker was given a part of it. */
  get isShared(): boolean {
    return this.reports.length > 0;
  }

  /** Takes part until nothing is left to do; `onBytes` is told now and then how many bytes all threads have taken to read. Gives what is wrong with values, in the order of the tasks. */
  async join(stream: KernelStream, write: Write, onBytes?: (done: number) => void): Promise<Unusable[]> {
    const { work, fillings, tasks, shared } = this;
    if (tasks.length === 0) return [];
    const taken = onBytes && ((count: number) => onBytes(bytesOfTasks(fillings, tasks.slice(0, count))));
    const own = doTasks(work, fillings, tasks, shared, stream, write, taken);
    const problems = (await Promise.all([own, ...this.reports])).flat();
    return problems.sort((a, b) => a.task - b.task);
  }

  /** Lets no thread take another task, and waits for those under way. */
  async stop(): Promise<void> {
    Atomics.store(this.shared, 0, this.tasks.length);
    await Promise.allSettled(this.reports);
  }
}

/** A Worker's part of an order. */
export async function workOn(order: WorkOrder): Promise<WorkReport> {
  if (order.timings) keepTimings();
  const sources = new Map<string, FileBytes>();
  let fd: number | undefined;
  try {
    if (order.output !== undefined) fd = openSync(order.output, "r+");
    const output = fd;
    const source = (path: string) => {
      const known = sources.get(path) ?? new FileBytes(path);
      sources.set(path, known);
      return known;
    };
    const fillings = order.fillings.map((filling) => ({ ...filling, constant: overSources(filling.constant, source) }));
    const write: Write = (bytes, offset) => writeAll(output!, bytes, offset);
    const problems = await doTasks(order.work, fillings, order.tasks, order.shared, loadKernels().stream, write);
    return { problems, spans: takeSpans() };
  } catch (error) {
    return { failed: sentError(error) };
  } finally {
    if (fd !== undefined) closeSync(fd);
    for (const each of sources.values()) each.close();
  }
}

/** Takes task after task until none is left; tells now and then how many all threads have taken. */
async function doTasks(
  work: Work,
  fillings: readonly Filling[],
  tasks: readonly Task[],
  shared: Int32Array,
  stream: KernelStream,
  write: Write,
  onTaken?: (tasks: number) => void,
): Promise<Problem[]> {
  const problems: Problem[] = [];
  const bytes = fillings.reduce((sum, { constant }) => sum + constant.length, 0);
  const output = work === "write" ? new PieceOutput(stream, write, new Turn(shared.subarray(1)), bytes) : null;
  // Ctrl-C is seen between tasks.
  const pass = passingSignals();
  for (;;) {
    if (await pass()) onTaken?.(Math.min(Atomics.load(shared, 0), tasks.length));
    const number = Atomics.add(shared, 0, 1);
    const task = tasks[number];
    if (!task) break;
    const filling = fillings[task.filling]!;
    if (output) {
      const text = writeTask(stream, filling, task, output);
      if (text) problems.push({ offset: filling.offset, task: number, text });
    } else {
      scanTask(stream, filling, task);
    }
  }
  output?.end();
  return problems;
}
