/**
 * Processes that jobs run in, one job at a time: a crash or a lack of memory ends that job only. One whose job went well takes another,
 * because starting LiteRT takes longer than a small model (calibration/engines.ts); its memory is given back when it has grown, after some
 * jobs, and at the end.
 */
import { existsSync, readdirSync, realpathSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { LATE_OPTIMIZER, ONE_COLLECTOR } from "../base/optimizer.ts";
import { sourcesOf } from "../options/sources.ts";
import { dataFiles } from "./data-files.ts";
import { type Job, writtenBy } from "./job.ts";
import { CHILD_WORD, type Order, type Report } from "./messages.ts";
import type { Done } from "./outcome.ts";

export type Ended =
  | ({ readonly kind: "done" } & Done)
  | { readonly kind: "failed"; readonly reason: string; readonly mayPass: boolean }
  /** The signal was given. */
  | { readonly kind: "stopped" };

export type OnProgress = (what: string, done: number, total: number) => void;

/** Milliseconds in which a process that was told to end has to. */
const PATIENCE = 2000;
/** Characters of a crash that are worth telling. */
const LAST_WORDS = 2000;

/** A process with or without a job. */
class JobProcess {
  readonly child: Bun.Subprocess<"ignore", "ignore", "pipe">;
  readonly words: Promise<string>;
  private readonly ready: Promise<void>;
  private told: (message: Report) => void = () => {};

  /** Throws when none can be started. */
  constructor(readonly environment: Environment) {
    const ready = Promise.withResolvers<void>();
    this.ready = ready.promise;
    this.child = Bun.spawn(command(), {
      cwd: "/",
      env: environment,
      stdio: ["ignore", "ignore", "pipe"],
      // Ctrl-C is for this process, which stops its children itself and knows then why they ended.
      detached: true,
      // Windows would show a console for each.
      windowsHide: true,
      serialization: "json",
      ipc: (message: Report) => {
        if (message.kind === "ready") ready.resolve();
        else this.told(message);
      },
    });
    this.words = lastWords(this.child.stderr);
  }

  /** Gives it a job, and what came of it; undefined when the process ended before it said so, `begun` or not. */
  async do(order: Order, onProgress: OnProgress): Promise<{ end?: JobEnd; begun: boolean }> {
    const ended = Promise.withResolvers<JobEnd>();
    let begun = false;
    this.told = (message) => {
      if (message.kind === "begun") begun = true;
      else if (message.kind === "progress") onProgress(message.what, message.done, message.total);
      else if (message.kind !== "ready") ended.resolve(message);
    };
    const gone = this.child.exited.then(() => undefined);
    await Promise.race([this.ready, gone]);
    try {
      if (this.child.exitCode === null && this.child.signalCode === null) this.child.send(order);
    } catch {
      // It has just ended, which is what is waited for.
    }
    return { end: await Promise.race([ended.promise, gone]), begun };
  }

  /** Has it end. */
  async end(): Promise<void> {
    try {
      this.child.disconnect();
    } catch {
      // It has hung up already.
    }
    await this.child.exited;
  }
}

type JobEnd = Extract<Report, { kind: "done" | "failed" }>;

export class Processes {
  private readonly idle: JobProcess[] = [];

  /**
   * `kept`: how many may wait for a job; with 0 each job has a process of its own. With `roots` (real paths), no file outside of them is
   * opened.
   */
  constructor(
    private readonly kept: number,
    private readonly roots?: readonly string[],
  ) {}

  /** Runs the job; never throws. `signal` stops it and waits until nothing of it is left. */
  async run(job: Job, onProgress: OnProgress, signal: AbortSignal): Promise<Ended> {
    if (signal.aborted) return { kind: "stopped" };
    const environment = environmentFor(job);
    // What limits its memory counts on a new process.
    const alone = this.kept === 0 || job.options.memoryLimit !== undefined;
    const waiting = alone ? undefined : await this.waiting(environment);
    const end = waiting && (await this.runIn(waiting, job, { onProgress, signal, alone }));
    if (end) return end;
    let process: JobProcess;
    try {
      process = new JobProcess(environment);
    } catch (error) {
      return { kind: "failed", reason: `no process can be started (${error})`, mayPass: true };
    }
    return (await this.runIn(process, job, { onProgress, signal, alone, isNew: true }))!;
  }

  /** Ends all that wait. */
  async close(): Promise<void> {
    await Promise.all(this.idle.splice(0).map((process) => process.end()));
  }

  /** One that was started for jobs of this kind; of those for others, one ends to make room. */
  private async waiting(environment: Environment): Promise<JobProcess | undefined> {
    const found = this.idle.findIndex((process) => Bun.deepEquals(process.environment, environment));
    if (found >= 0) return this.idle.splice(found, 1)[0];
    await this.idle.shift()?.end();
    return undefined;
  }

  /** Undefined: a process that had waited ended before it began, so that the job is to be given to another. */
  private async runIn(
    process: JobProcess,
    job: Job,
    { onProgress, signal, alone, isNew = false }: RunIn,
  ): Promise<Ended | undefined> {
    const { child } = process;
    const stop = () => {
      child.kill("SIGTERM");
      setTimeout(() => child.kill("SIGKILL"), PATIENCE).unref();
    };
    signal.addEventListener("abort", stop, { once: true });
    // The signal may have come while another process ended to make room.
    if (signal.aborted) stop();
    const order: Order = { entry: job.entry, folder: folderOf(job), ...(this.roots && { roots: this.roots }) };
    const { end, begun } = await process.do(order, onProgress);
    const keep = !alone && !signal.aborted && end?.kind === "done" && end.again === true;
    if (keep && this.idle.length < this.kept) this.wait(process);
    else await process.end();
    signal.removeEventListener("abort", stop);
    if (end?.kind !== "done") removeLeftovers(job, (pid) => pid === child.pid);
    if (end?.kind === "done") {
      const { again: _, ...done } = end;
      return done;
    }
    if (end) return end;
    if (signal.aborted) return { kind: "stopped" };
    if (!isNew && !begun) return undefined;
    return { kind: "failed", reason: deathOf(child, await process.words), mayPass: true };
  }

  private wait(process: JobProcess): void {
    this.idle.push(process);
    void process.child.exited.then(() => {
      const place = this.idle.indexOf(process);
      if (place >= 0) this.idle.splice(place, 1);
    });
  }
}

interface RunIn {
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal;
  readonly alone: boolean;
  readonly isNew?: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** This executable, or Bun with this program. */
function command(): string[] {
  return Bun.isStandaloneExecutable
    ? [process.execPath, CHILD_WORD]
    : [process.execPath, "run", join(import.meta.dir, "../start.ts"), CHILD_WORD];
}

/**
 * The queue's address and password are none of a job's business; its text goes to files, so it has no colours. Jobs without samples
 * are done before anything is worth optimizing.
 */
function environmentFor({ options }: Job): Environment {
  const others = Object.entries(process.env).filter(
    ([name]) => !name.startsWith("MINMAXQ_QUEUE") && !Object.hasOwn(LATE_OPTIMIZER, name),
  );
  return {
    ...Object.fromEntries(others),
    ...(options.data === undefined ? LATE_OPTIMIZER : ONE_COLLECTOR),
    FORCE_COLOR: "0",
  };
}

/** Names in a list file of samples are looked up from the list's folder, wherever the batch was started. */
function folderOf({ options }: Job): string {
  try {
    const folders = new Set(sourcesOf(options).map(({ location, format }) => dataFiles(location, format).folder));
    folders.delete(undefined);
    // Of several lists each is looked up from its own folder, which comes after the current one.
    const [folder] = folders;
    if (folder !== undefined && folders.size === 1) return folder;
  } catch {
    // The job itself will say what is wrong with its data.
  }
  return "/";
}

async function lastWords(stream: ReadableStream<Uint8Array>): Promise<string> {
  let words = "";
  const decoder = new TextDecoder();
  for await (const piece of stream) words = (words + decoder.decode(piece, { stream: true })).slice(-LAST_WORDS);
  return words;
}

function deathOf({ signalCode, exitCode }: Bun.Subprocess, words: string): string {
  const how = signalCode === null ? `ended with exit code ${exitCode}` : `was killed (${signalCode})`;
  const hint = signalCode === "SIGKILL" ? ", perhaps for lack of memory; try fewer at a time with --jobs" : "";
  const line = words
    .split("\n")
    .filter((each) => each.trim() !== "")
    .at(-1);
  return `its process ${how}${hint}${line && signalCode === null ? `: ${line.trim()}` : ""}`;
}

/** Milliseconds after which a file under way that was not written to is one that a killed process left. */
export const ABANDONED = 600_000;

/** A file under way whose process has ended, to be removed before its job begins. */
export function isAbandoned(_pid: number, path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat !== undefined && Date.now() - stat.mtimeMs > ABANDONED;
}

/**
 * Removes files under way (src/base/temporary.ts) beside the job's outputs. Were one still written to after all, its writer
 * could not give it its name and would fail; nothing half can come of it.
 */
export function removeLeftovers(job: Job, which: (pid: number, path: string) => boolean): void {
  for (const named of writtenBy(job)) {
    const path = existsSync(named) ? realpathSync(named) : named;
    const start = `.${Buffer.from(basename(path)).subarray(0, 180).toString()}.`;
    for (const name of namesIn(dirname(path))) {
      if (!name.startsWith(start)) continue;
      const pid = /^(\d+)\.[0-9a-f]{8}\.tmp$/.exec(name.slice(start.length))?.[1];
      const file = join(dirname(path), name);
      if (pid !== undefined && which(Number(pid), file)) rmSync(file, { force: true });
    }
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
