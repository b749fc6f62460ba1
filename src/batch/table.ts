/** What became of all jobs, for people: one line per job, and failures grouped by reason. */
import { counted } from "../base/text.ts";
import type { Colours } from "../terminal/streams.ts";
import { withShortNames } from "../terminal/table.ts";
import { remarks } from "../views/summary.ts";
import { sqnrText } from "./accuracy.ts";
import { padded, paragraph } from "./columns.ts";
import { type Outcome, oneLine, sizesOf } from "./outcome.ts";

export interface Row {
  readonly shown: string;
  readonly outcome: Outcome;
}

/**
 * One line per job: model, status, sizes, seconds, SQNR where any has it, and what else is worth a word; that stands below where it does not
 * fit into `width` columns. Names are shortened to fit. Without a width every job has one line, however long.
 */
export function table(rows: readonly Row[], colours: Colours, width?: number): string[] {
  const hasAccuracy = rows.some(({ outcome }) => accuracyIn(outcome) !== undefined);
  const cells = rows.map(({ shown, outcome }) => [
    shown,
    outcome.status,
    sizesOf(outcome),
    secondsOf(outcome),
    ...(hasAccuracy ? [far(outcome)] : []),
  ]);
  const head = ["model", "status", "size", "seconds", ...(hasAccuracy ? ["SQNR dB"] : [])];
  const { lines, width: taken } = padded([head, ...cells], [3, 4], width);
  const [title, ...rest] = lines;
  return [
    colours.bold(title!.join("  ").trimEnd()),
    ...rest.flatMap(([model, status, ...numbers], index) => {
      const { outcome } = rows[index]!;
      const said = outcome.status === "stopped" || outcome.status === "failed" ? "" : wordsOf(outcome);
      const line = [model, coloured(outcome.status, status!, colours), ...numbers].join("  ");
      if (said === "") return [line.trimEnd()];
      if (width === undefined || taken + 2 + said.length <= width) return [`${line}  ${said}`];
      return [line.trimEnd(), ...paragraph(said, width - 4).map((each) => colours.dim(`    ${each}`))];
    }),
  ];
}

function wordsOf(outcome: Outcome & { readonly status: "done" | "skipped" }): string {
  return remarks(outcome.notes ?? [], outcome.warnings.length);
}

function accuracyIn(outcome: Outcome) {
  return "accuracy" in outcome ? outcome.accuracy : undefined;
}

function far(outcome: Outcome): string {
  const accuracy = accuracyIn(outcome);
  if (accuracy) return sqnrText(accuracy);
  return outcome.status === "done" || outcome.status === "skipped" ? "–" : "";
}

function secondsOf(outcome: Outcome): string {
  return outcome.status === "skipped" || outcome.seconds === 0 ? "" : outcome.seconds.toFixed(1);
}

function coloured(status: Outcome["status"], text: string, colours: Colours): string {
  if (status === "failed") return colours.red(text);
  if (status === "stopped") return colours.yellow(text);
  return status === "done" ? colours.green(text) : colours.dim(text);
}

/** Something that went wrong, or would. */
export interface Failure {
  readonly shown: string;
  readonly reason: string;
  /** What reasons that differ in numbers have in common. */
  readonly group?: string | undefined;
}

/** Each reason once and whole, and below it the names of the models; those with the most first. */
export function failureLines(
  failures: readonly Failure[],
  colours: Colours,
  width?: number,
  what = "failed",
): string[] {
  const groups = Map.groupBy(failures, ({ reason, group }) => group ?? oneLine(reason));
  return [...groups]
    .sort(([, a], [, b]) => b.length - a.length)
    .flatMap(([reason, found]) => {
      const [first, ...rest] = paragraph(
        withShortNames(`${what} (${counted(found.length, "job")}): ${reason}`, width),
        width,
      );
      return [
        "",
        colours.red(first!),
        ...rest.map((line) => colours.red(line)),
        ...found.flatMap(({ shown, group, reason: own }) =>
          group === undefined ? [`  ${shown}`] : indentedBy(`${shown}: ${withShortNames(oneLine(own), width)}`, width),
        ),
      ];
    });
}

function indentedBy(text: string, width = 80): string[] {
  const [first, ...rest] = paragraph(text, width - 4);
  return [`  ${first}`, ...rest.map((line) => `    ${line}`)];
}

/** Failures among the rows. */
export function failuresIn(rows: readonly Row[]): Failure[] {
  return rows.flatMap(({ shown, outcome }) =>
    outcome.status === "failed" ? [{ shown, reason: outcome.reason, group: outcome.group }] : [],
  );
}
