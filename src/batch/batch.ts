/** The whole of `minmaxq batch`: list, run, table. */

import { MinmaxqError, UsageError } from "../base/errors.ts";
import { StoppedError, windDown } from "../base/interrupt.ts";
import type { Output } from "../base/output.ts";
import { counted } from "../base/text.ts";
import type { Given, OptionValues } from "../options/values.ts";
import { coloursFor } from "../terminal/streams.ts";
import { Course, defaultJobs } from "./course.ts";
import { readJobs } from "./job-list.ts";
import { runLocal } from "./local.ts";
import { counts, table } from "./outcome.ts";
import { openView } from "./view.ts";

export async function runBatch(path: string, options: OptionValues, output: Output, given: Given): Promise<void> {
  if (options.queue !== undefined && options.jobs !== undefined)
    throw new UsageError("--jobs: does nothing with --queue; give it to each worker");
  const list = readJobs(path, options.out, given);
  const view = openView(list.jobs.length);
  let course: Course;
  try {
    course = new Course(list, { failFast: options.failFast ?? false, redo: options.redo ?? false }, view);
    windDown((signal) => course.stop(signal));
    if (options.queue === undefined) await runLocal(course, options.jobs ?? defaultJobs());
    else await runThroughQueue(course, options.queue);
  } finally {
    view.close();
  }
  conclude(course, output);
}

/** Loaded on demand: most batches need no queue. */
async function runThroughQueue(course: Course, address: string): Promise<void> {
  const { openLink } = await import("./redis.ts");
  const link = await openLink(address);
  const { runQueue } = await import("./queue.ts");
  await runQueue(course, link);
}

/** The table, and an error that says what is not done. */
function conclude(course: Course, output: Output): void {
  const rows = course.rows();
  const outcomes = rows.map(({ outcome }) => outcome);
  const summary = counts(outcomes);
  if (course.interruptedBy !== undefined)
    throw new StoppedError(
      course.interruptedBy,
      `stopped by ${course.interruptedBy}: ${summary}; run it again to go on`,
    );
  for (const line of table(rows, coloursFor(1))) output.print(line);
  output.print(`${summary}; ${course.results.path}`);
  const failed = outcomes.filter(({ status }) => status === "failed").length;
  if (failed > 0)
    throw new MinmaxqError(`${failed} of ${counted(rows.length, "job")} failed; run it again when they are mended`);
}
