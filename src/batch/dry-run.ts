/** `--dry-run`: what a batch would do and why, without doing it. Models and samples are looked at; nothing is written. */
import { relative } from "node:path";
import { MinmaxqError } from "../base/errors.ts";
import type { Output } from "../base/output.ts";
import { counted, sizeText } from "../base/text.ts";
import type { Forecast } from "../driver/forecast.ts";
import { SILENT } from "../driver/io.ts";
import { forecastBy } from "../options/quantize.ts";
import { schemeNameOf } from "../options/scheme.ts";
import type { OptionValues } from "../options/values.ts";
import { type Colours, coloursFor, columnsOf } from "../terminal/streams.ts";
import { shortened } from "../terminal/table.ts";
import { documentText } from "../views/json.ts";
import { remarks } from "../views/summary.ts";
import { padded, paragraph } from "./columns.ts";
import { type Course, reasonFor } from "./course.ts";
import { forQuantize, isCompared } from "./job.ts";
import type { ListedJob } from "./job-list.ts";
import { failureLines } from "./table.ts";

/** What would become of a job. */
interface Plan {
  readonly job: ListedJob;
  readonly would: "run" | "skip" | "fail";
  /** Why it would run or be skipped; why it would fail. */
  readonly why: string;
  readonly forecast?: Forecast;
  /** What it failed of the last time. */
  readonly failedBefore?: { readonly reason: string; readonly group?: string | undefined } | undefined;
}

/** Looks at all jobs and prints what would become of them. Throws a MinmaxqError where any would fail. */
export async function dryRun(course: Course, output: Output, json: boolean): Promise<void> {
  const { jobs } = course.list;
  const onProgress = output.progress("looking at models");
  const plans: Plan[] = [];
  for (const [index, job] of jobs.entries()) {
    plans.push(await planOf(course, job));
    onProgress(index + 1, jobs.length);
  }
  const failing = plans.filter(({ would }) => would === "fail");
  if (json) output.print(documentText("plan", factsOf(course, plans)));
  else for (const line of linesOf(course, plans, coloursFor(1), columnsOf(1))) output.print(line);
  if (failing.length > 0) throw new MinmaxqError(`${failing.length} of ${counted(jobs.length, "job")} would fail`);
}

async function planOf(course: Course, job: ListedJob): Promise<Plan> {
  const failedBefore = course.results.failureOf(job);
  try {
    const state = await course.stateOf(job);
    if (state.is === "done") return { job, would: "skip", why: "done already" };
    // A name in a list of samples counts from the list, wherever this process is.
    const forecast = await forecastBy(job.model, forQuantize(job.options), SILENT);
    return { job, would: "run", why: reasonFor(state.is), forecast, failedBefore };
  } catch (error) {
    if (!(error instanceof MinmaxqError)) throw error;
    return { job, would: "fail", why: error.messageBeside(job.model), failedBefore };
  }
}

/** `int8; ranges of 16 samples; compared`. */
function needsOf({ job: { options }, forecast }: Plan): string {
  const { ranges, samples = 0 } = forecast!;
  const from = {
    samples: `ranges of ${counted(samples, "sample")}`,
    file: "ranges in the model",
    none: "no ranges needed",
  };
  const compared = isCompared(options) ? ["compared"] : [];
  const said = remarks(forecast!.notes);
  return [schemeNameOf(options as OptionValues), from[ranges], ...compared, ...(said ? [said] : [])].join("; ");
}

function linesOf({ list, results }: Course, plans: readonly Plan[], colours: Colours, width?: number): string[] {
  const cells = plans.map(({ job, would, why, forecast }) => [
    job.shown,
    would,
    forecast ? `${sizeText(forecast.bytes[0])} → ~${sizeText(forecast.bytes[1])}` : "",
    would === "fail" ? "" : why,
  ]);
  const { lines } = padded([["model", "would", "size", "because"], ...cells], [], width);
  const [head, ...rest] = lines;
  const room = (width ?? 80) - 4;
  const below = (plan: Plan) => {
    if (plan.would !== "run") return [];
    const output = relative(list.out, plan.job.output);
    const place = `→ ${shortened(output, width && room - 2)}`;
    const needs = needsOf(plan);
    const lines =
      `${place}; ${needs}`.length <= room
        ? [`${place}; ${needs}`]
        : [place, ...paragraph(needs, room - 2).map((line) => `  ${line}`)];
    return lines.map((line) => `    ${line}`);
  };
  const colour = { run: colours.green, skip: colours.dim, fail: colours.red };
  const failures = plans.flatMap(({ job: { shown }, would, why }) =>
    would === "fail" ? [{ shown, reason: why }] : [],
  );
  const before = plans.flatMap(({ job: { shown }, would, failedBefore }) =>
    would === "run" && failedBefore ? [{ shown, ...failedBefore }] : [],
  );
  return [
    colours.bold(head!.join("  ").trimEnd()),
    ...rest.flatMap(([model, would, ...more], index) => {
      const plan = plans[index]!;
      return [[model, colour[plan.would](would!), ...more].join("  ").trimEnd(), ...below(plan)];
    }),
    ...failureLines(failures, colours, width, "would fail"),
    ...failureLines(before, colours, width, "failed the last time"),
    ...(failures.length + before.length > 0 ? [""] : []),
    ...paragraph(`${summaryOf(plans)}; outputs in ${list.out}, results in ${results.path}; nothing was written`, width),
  ];
}

/** "30 would run (12 MB → ~4.1 MB), 8 be skipped, 2 fail". */
function summaryOf(plans: readonly Plan[]): string {
  const count = (would: Plan["would"]) => plans.filter((plan) => plan.would === would).length;
  const sum = (at: 0 | 1) => plans.reduce((bytes, { forecast }) => bytes + (forecast?.bytes[at] ?? 0), 0);
  const sizes = count("run") > 0 ? ` (${sizeText(sum(0))} → ~${sizeText(sum(1))})` : "";
  return `${count("run")} would run${sizes}, ${count("skip")} be skipped, ${count("fail")} fail`;
}

/** The same for programs. */
function factsOf({ list, results }: Course, plans: readonly Plan[]) {
  return {
    batchVersion: 1,
    dryRun: true,
    out: list.out,
    results: results.path,
    jobs: plans.map(({ job, would, why, forecast, failedBefore }) => ({
      model: job.written,
      output: relative(list.out, job.output),
      would,
      why,
      scheme: schemeNameOf(job.options),
      ...(forecast && { bytes: forecast.bytes, ranges: forecast.ranges }),
      ...(forecast?.samples !== undefined && { samples: forecast.samples }),
      ...(forecast && { notes: forecast.notes.map(({ kind, code, text }) => ({ kind, code, text })) }),
      ...(failedBefore && { failedBefore: failedBefore.reason }),
    })),
  };
}
