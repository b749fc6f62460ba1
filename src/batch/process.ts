/** Runs a job in a process of its own: a crash or a lack of memory ends that job only, and its memory is given back. */
import { existsSync, readdirSync, realpathSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { LATE_OPTIMIZER } from "../base/optimizer.ts";
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

/**
 * Runs the job; never throws. `signal` stops it and waits until nothing of it is left. With `roots`, it opens no file outside
 * of them.
 */
export async function runProcess(
  job: Job,
  onProgress: OnProgress,
  signal: AbortSignal,
  roots?: readonly string[],
): Promise<Ended> {
  if (signal.aborted) return { kind: "stopped" };
  let end: Ended | undefined;
  let child: Bun.Subprocess<"ignore", "ignore", "pipe">;
  try {
    child = Bun.spawn(command(), {
      // Names in a list file are looked up from the list's folder, wherever the batch was started.
      cwd: folderOf(job),
      env: environment(job),
      stdio: ["ignore", "ignore", "pipe"],
      // Ctrl-C is for this process, which stops its children itself and knows then why they ended.
      detached: true,
      // Windows would show a console for each.
      windowsHide: true,
      serialization: "json",
      ipc(message: Report, from) {
        if (message.kind === "ready") from.send({ entry: job.entry, roots } satisfies Order);
        else if (message.kind === "progress") onProgress(message.what, message.done, message.total);
        else {
          end = message;
          from.disconnect();
        }
      },
    });
  } catch (error) {
    return { kind: "failed", reason: `no process can be started (${error})`, mayPass: true };
  }
  const stop = () => {
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), PATIENCE).unref();
  };
  signal.addEventListener("abort", stop, { once: true });
  const said = lastWords(child.stderr);
  await child.exited;
  signal.removeEventListener("abort", stop);
  if (end?.kind !== "done") removeLeftovers(job, (pid) => pid === child.pid);
  if (end) return end;
  if (signal.aborted) return { kind: "stopped" };
  return { kind: "failed", reason: deathOf(child, await said), mayPass: true };
}

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
function environment({ options }: Job): Record<string, string | undefined> {
  const others = Object.entries(process.env).filter(
    ([name]) => !name.startsWith("MINMAXQ_QUEUE") && !Object.hasOwn(LATE_OPTIMIZER, name),
  );
  return {
    ...Object.fromEntries(others),
    ...(options.data === undefined && LATE_OPTIMIZER),
    FORCE_COLOR: "0",
  };
}

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
