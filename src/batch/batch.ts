/** The whole of `minmaxq batch`: list, run, table. */

import { relative } from "node:path";
import { MinmaxqError, UsageError } from "../base/errors.ts";
import { StoppedError, windDown } from "../base/interrupt.ts";
import type { Output } from "../base/output.ts";
import { counted } from "../base/text.ts";
import type { Given, OptionValues } from "../options/values.ts";
import { coloursFor, columnsOf } from "../terminal/streams.ts";
import { documentText } from "../views/json.ts";
import { Course, defaultJobs } from "./course.ts";
import { readJobs } from "./job-list.ts";
import { runLocal } from "./local.ts";
import { counts } from "./outcome.ts";
import { failureLines, failuresIn, table } from "./table.ts";
import { openView, type View } from "./view.ts";

export async function runBatch(path: string, options: OptionValues, output: Output, given: Given): Promise<void> {
  if (options.queue !== undefined && options.jobs !== undefined)
    throw new UsageError("--jobs: does nothing with --queue; give it to each worker");
  if (options.queue !== undefined && options.isolate)
    throw new UsageError("--isolate: does nothing with --queue; workers give each job a process of its own");
  const list = readJobs(path, options.out, given, options.overrides);
  const { failFast = false, redo = false, failed = false, dryRun: dry = false, json = false } = options;
  // What former runs left, looked at only.
  const found = failed || dry ? new Course(list, { failFast, redo, failed, dry: true }, NO_VIEW) : undefined;
  if (found && failed && found.list.jobs.length === 0) return tellNoneFailed(found, output, json);
  if (found && dry) {
    const { dryRun } = await import("./dry-run.ts");
    return dryRun(found, output, json);
  }
  const view = openView((found ?? { list }).list.jobs.length);
  let course: Course;
  try {
    course = new Course(list, { failFast, redo, failed }, view);
    windDown((signal) => course.stop(signal));
    if (options.queue === undefined) await runLocal(course, options.jobs ?? defaultJobs(), options.isolate);
    else await runThroughQueue(course, options.queue);
  } finally {
    view.close();
  }
  conclude(course, output, json);
}

/** Shows nothing. */
const NO_VIEW: View = { started() {}, progress() {}, ended() {}, tell() {}, close() {} };

function tellNoneFailed({ results, list }: Course, output: Output, json: boolean): void {
  if (json) output.print(documentText("batch", { batchVersion: 1, out: list.out, results: results.path, jobs: [] }));
  else output.print(`no job of the list failed the last time; ${results.path}`);
}

/** Loaded on demand: most batches need no queue. */
async function runThroughQueue(course: Course, address: string): Promise<void> {
  const { openLink } = await import("./redis.ts");
  const link = await openLink(address);
  const { runQueue } = await import("./queue.ts");
  await runQueue(course, link);
}

/** The table, and an error that says what is not done. */
function conclude(course: Course, output: Output, json: boolean): void {
  const rows = course.rows();
  const outcomes = rows.map(({ outcome }) => outcome);
  const summary = counts(outcomes);
  if (course.interruptedBy !== undefined)
    throw new StoppedError(
      course.interruptedBy,
      `stopped by ${course.interruptedBy}: ${summary}; run it again to go on`,
    );
  const failed = outcomes.filter(({ status }) => status === "failed").length;
  if (json) output.print(documentText("batch", factsOf(course, rows)));
  else {
    const [colours, width] = [coloursFor(1), columnsOf(1)];
    for (const line of table(rows, colours, width)) output.print(line);
    for (const line of failureLines(failuresIn(rows), colours, width)) output.print(line);
    if (failed > 0) output.print("");
    output.print(`${summary}; ${course.results.path}`);
  }
  if (failed > 0)
    throw new MinmaxqError(
      `${failed} of ${counted(rows.length, "job")} failed; run it again when they are mended, with --failed`,
    );
}

/** The table for programs. */
function factsOf({ list, results }: Course, rows: ReturnType<Course["rows"]>) {
  return {
    batchVersion: 1,
    out: list.out,
    results: results.path,
    jobs: rows.map(({ job, outcome: { status, ...outcome } }) => ({
      model: job.written,
      output: relative(list.out, job.output),
      status,
      ...outcome,
    })),
  };
}
