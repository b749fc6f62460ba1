/**
 * A job's own process: the same executable with the word `__job`. It gets the entry over IPC, runs `quantize`, and reports.
 * When its parent is gone, it removes what is under way and ends, so no two processes ever work for one job.
 */
import { mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { MinmaxqError, reasonOf } from "../base/errors.ts";
import { removeTemporaryFiles, temporaryDone, temporaryPath } from "../base/temporary.ts";
import type { Output } from "../commands/command.ts";
import { quantize } from "../commands/quantize.ts";
import { type Job, jobOf } from "./job.ts";
import { hashFile } from "./key.ts";
import type { Order, Report } from "./messages.ts";
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
  const order = new Promise<Order>((resolve) => process.once("message", (message) => resolve(message as Order)));
  report({ kind: "ready" });
  const { entry, roots } = await order;
  if (roots) guardFiles(roots);
  const end = await outcome(entry);
  finished = true;
  report(end);
  // The parent hangs up when it has read the report; ending before would lose it.
  await gone;
}

function report(message: Report): void {
  process.send!(message);
}

async function outcome(entry: unknown): Promise<Report> {
  const summary: string[] = [];
  const warnings: string[] = [];
  const output: Output = {
    print: (line) => void summary.push(line),
    tell: (line) => void warnings.push(line),
    progress: (what) => (done, total) => report({ kind: "progress", what, done, total }),
  };
  try {
    const job = jobOf(entry);
    await run(job, output);
    const bytes: [number, number] = [statSync(job.model).size, statSync(job.output).size];
    return { kind: "done", bytes, sha256: await hashFile(job.output), summary, warnings };
  } catch (error) {
    return { kind: "failed", reason: wordsFor(error), mayPass: mayPass(error) };
  }
}

async function run({ model, output: path, options }: Job, output: Output): Promise<void> {
  const { explain } = options;
  for (const each of [path, explain]) if (each !== undefined) makeFolder(dirname(each));
  if (explain === undefined) return quantize.run([model], options, output);
  // A command's own report may be written in place; a job's appears whole or not at all.
  const temporary = temporaryPath(explain);
  try {
    await quantize.run([model], { ...options, explain: temporary }, output);
    renameSync(temporary, explain);
  } finally {
    rmSync(temporary, { force: true });
    temporaryDone(temporary);
  }
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    throw new MinmaxqError(`${path}: the folder cannot be made (${reasonOf(error)})`, { cause: error });
  }
}

function wordsFor(error: unknown): string {
  return error instanceof MinmaxqError ? error.message : `internal error: ${reasonOf(error)}`;
}
