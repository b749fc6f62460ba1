/**
 * A process for jobs: the same executable with the word `__job`. It gets an entry over IPC, runs `quantize`, reports, and waits for the
 * next. When its parent is gone, it removes what is under way and ends, so no two processes ever work for one job.
 */
import { mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { FileError, MinmaxqError, reasonOf, shortageText } from "../base/errors.ts";
import { hashFile } from "../base/hash-file.ts";
import { residentMemory, restartPeak } from "../base/memory.ts";
import { forgetPlainNames, withPlainNames } from "../base/plain.ts";
import { removeTemporaryFiles, temporaryDone, temporaryPath } from "../base/temporary.ts";
import type { Io } from "../driver/io.ts";
import type { Report as RunReport } from "../driver/report.ts";
import { checkTogether } from "../options/lists.ts";
import { quantizeBy } from "../options/quantize.ts";
import { writeReports } from "../views/reports.ts";
import { summary } from "../views/summary.ts";
import { type Accuracy, accuracyOf, limitsOf } from "./accuracy.ts";
import { forQuantize, isCompared, type Job, jobOf, writtenBy } from "./job.ts";
import type { Order, Report } from "./messages.ts";
import type { Done } from "./outcome.ts";
import { mayPass } from "./passing.ts";
import { guardFiles } from "./roots.ts";

export async function runChild(): Promise<void> {
  if (!process.send) throw new MinmaxqError("__job: is for minmaxq's own use; see 'minmaxq batch --help'");
  const gone = new Promise<void>((resolve) => process.once("disconnect", resolve));
  let finished = false;
  void gone.then(() => {
    removeTemporaryFiles();
    process.exit(finished ? 0 : 1);
  });
  let jobs = 0;
  let guarded = false;
  process.on("message", async ({ entry, folder, roots }: Order) => {
    report({ kind: "begun" });
    finished = false;
    forgetPlainNames();
    restartPeak();
    enter(folder);
    if (roots && !guarded) guardFiles(roots);
    guarded ||= roots !== undefined;
    const end = await outcome(entry);
    finished = true;
    const again = ++jobs < MOST_JOBS && residentMemory() < MOST_MEMORY;
    report(end.kind === "done" ? { ...end, again } : end);
  });
  report({ kind: "ready" });
  // The parent hangs up when it has read the report and has no other job; ending before would lose it.
  await gone;
}

/** Jobs after which a process ends, and resident bytes: what engines keep, and what is never given back, stays within bounds. */
const MOST_JOBS = 64;
const MOST_MEMORY = 400e6;

function enter(folder: string): void {
  try {
    process.chdir(folder);
  } catch {
    // Then the job itself will say which file is not there.
  }
}

function report(message: Report): void {
  // The parent has not read the model, and does not know its names.
  process.send!(plain(message));
}

/** Ends of lines in names taken out of all texts. */
function plain<T>(value: T): T {
  if (typeof value === "string") return withPlainNames(value) as T;
  if (Array.isArray(value)) return value.map(plain) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each)])) as T;
}

async function outcome(entry: unknown): Promise<Report> {
  const warnings: string[] = [];
  const io: Io = {
    tell: (line) => void warnings.push(line),
    progress: (what) => (done, total) => report({ kind: "progress", what, done, total }),
  };
  let job: Job | undefined;
  try {
    job = jobOf(entry);
    const done = await run(job, io);
    const bytes: [number, number] = [statSync(job.model).size, statSync(job.output).size];
    const sha256 = await hashFile(job.output);
    const accuracy = await compared(job, io, warnings);
    return { kind: "done", bytes, sha256, ...said(done), warnings, ...(accuracy && { accuracy }) };
  } catch (error) {
    return { kind: "failed", reason: wordsFor(error, job?.model), mayPass: mayPass(error) };
  }
}

/**
 * How far the result is off, where the job asks. A result that breaks a limit, or cannot be held to it, is removed: what lies there is good.
 * Without a limit, a result that cannot be compared is told and kept.
 */
async function compared(job: Job, io: Io, warnings: string[]): Promise<Accuracy | undefined> {
  if (!isCompared(job.options)) return undefined;
  const isHeld = limitsOf(job.options).length > 0;
  try {
    const accuracy = await accuracyOf(job, io);
    if (accuracy.broken.length > 0) rmSync(job.output, { force: true });
    return accuracy;
  } catch (error) {
    const text = `it cannot be compared with its model: ${wordsFor(error, job.model)}`;
    if (!isHeld) return void warnings.push(text);
    rmSync(job.output, { force: true });
    throw new MinmaxqError(text, { cause: error });
  }
}

/** What the Report says, for the batch's line and its results. */
function said(report: RunReport): { summary: string[]; notes: Done["notes"] } {
  return { summary: summary(report), notes: report.notes.map(({ kind, code, text }) => ({ kind, code, text })) };
}

async function run(job: Job, io: Io): Promise<RunReport> {
  const { model, options } = job;
  for (const path of writtenBy(job)) makeFolder(dirname(path));
  const settings = forQuantize(options);
  checkTogether(settings);
  const report = await quantizeBy(model, settings, io);
  await writeReports(options, report, writeWhole);
  return report;
}

/** A command's own report may be written in place; a job's appears whole or not at all. */
async function writeWhole(path: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = temporaryPath(path);
  try {
    await write(temporary);
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
    temporaryDone(temporary);
  }
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    throw new FileError(path, `the folder cannot be made (${reasonOf(error)})`, { cause: error });
  }
}

/** What is wrong, without the model's name, which is told beside it. */
function wordsFor(error: unknown, model = ""): string {
  return error instanceof MinmaxqError
    ? error.messageBeside(model)
    : (shortageText(error) ?? `internal error: ${reasonOf(error)}`);
}
