/** A diagnosis for people: the split of the loss, the roundings that cost most, and a sentence a cause with what mends it. */
import { counted } from "../base/text.ts";
import { ROWS } from "../options/table.ts";
import { type Noise, sqnrOf } from "../search/bench.ts";
import type { Cause, Contribution, Remedy } from "../search/causes.ts";
import type { Diagnosis, OutputLoss } from "../search/diagnose.ts";
import type { Colours } from "../terminal/streams.ts";
import { type Column, shortened, tableLines, type Width, wrapped } from "../terminal/table.ts";

export interface DiagnosisView {
  /** Every rounding, and not those that cost most. */
  readonly all: boolean;
  readonly colours: Colours;
  readonly width: Width;
}

/** Below the help: the columns, and the causes by their codes. */
export const CAUSE_NOTES: readonly (string | readonly [term: string, text: string])[] = [
  "Causes, by their codes (docs/accuracy-search.md has the rules):",
  ["sensitive", "the float model itself answers to the smallest changes of its inputs"],
  ["fixed-steps", "the output is a function's with fixed steps (LOGISTIC, SOFTMAX …)"],
  ["outputs, inputs", "what the model is fed and what it gives has too few bits"],
  ["weights", "weights lose more than activations; weights-per-tensor: with one scale for all channels"],
  ["clipping", "samples that did not set the ranges leave them"],
  ["activations", "activations lose more than weights"],
  ["uneven-channels", "most channels of a tensor use little of its range"],
  ["one-tensor, few-tensors", "one rounding carries half of the noise; few carry 80 %"],
  ["spread", "no few roundings carry it"],
];

/** Roundings that are listed for each output without --all. */
const MOST = 8;

const SPLIT: readonly Column[] = [
  { heading: "all", align: "right" },
  { heading: "weights", align: "right" },
  { heading: "activations", align: "right" },
  { heading: "inputs", align: "right" },
  { heading: "outputs", align: "right" },
  { heading: "sum", align: "right" },
  { heading: "output", shrinks: true },
];

const TENSORS: readonly Column[] = [
  { heading: "SQNR dB", align: "right" },
  { heading: "share", align: "right" },
  { heading: "so far", align: "right" },
  { heading: "clipped", align: "right" },
  { heading: "what" },
  { heading: "tensor", shrinks: true },
];

export function diagnosisLines(diagnosis: Diagnosis, view: DiagnosisView): string[] {
  const { colours, width } = view;
  const { outputs, causes, samples, unmatched } = diagnosis;
  const lines = wrapped(
    `SQNR in dB on ${counted(samples, "sample")} that did not set the ranges, with one part rounded and all else float; sum: what single roundings add up to`,
    width,
    "  ",
  );
  const rows = outputs.map(({ name, all, weights, inner, inputs, outputs, predicted }) => [
    ...[all, weights, inner, inputs, outputs, predicted].map(dbText),
    name,
  ]);
  lines.push(...tableLines(SPLIT, rows, width, colours.bold));
  for (const output of outputs) lines.push("", ...tensorLines(output, view));
  lines.push("", ...causeLines(causes, view));
  if (unmatched.length > 0)
    lines.push(
      ...wrapped(
        `${colours.yellow("warning")}: ${counted(unmatched.length, "constant")} of the quantized model have no counterpart in the float one and stay rounded everywhere (--json lists them)`,
        width,
        "  ",
      ),
    );
  return lines;
}

function tensorLines({ name, contributions }: OutputLoss, { all, colours, width }: DiagnosisView): string[] {
  const telling = contributions.filter(({ noise }) => noise > 0);
  const shown = all ? telling : telling.slice(0, MOST);
  const lines = [`${colours.cyan("output")} ${shortened(name, width && width - "output ".length)}`];
  if (shown.length === 0) return [...lines, "  no rounding adds any noise"];
  lines.push(...tableLines(TENSORS, shown.map(row), width, colours.bold));
  if (shown.length < telling.length) lines.push(`… and ${telling.length - shown.length} more (--all lists them)`);
  return lines;
}

function row({ noise, share, cumulated, clipped, kind, operator, name }: Contribution): string[] {
  const percent = (value: number) => `${(100 * value).toFixed(1)} %`;
  const what = kind === "constants" ? `weights of ${operator}` : (operator ?? "input");
  return [
    dbText(noise),
    percent(share),
    percent(cumulated),
    clipped === undefined ? "–" : clippedText(clipped),
    what,
    name,
  ];
}

function clippedText(share: number): string {
  if (share === 0) return "0";
  return share < 0.0001 ? "< 0.01 %" : `${(100 * share).toFixed(2)} %`;
}

/** Causes that several outputs share are said once where their sentence is the same. */
function causeLines(causes: readonly Cause[], { colours, width }: DiagnosisView): string[] {
  if (causes.length === 0) return [colours.green("no output loses more than 8 bits do at their best")];
  return [...Map.groupBy(causes, ({ output }) => output)].flatMap(([output, own]) => [
    `${colours.cyan("output")} ${shortened(output, width && width - "output ".length)}`,
    ...own.flatMap(({ code, text, remedies }) => {
      const tried = knownRemedies(remedies);
      const said = `  ${colours.bold(code)}: ${text}${tried.length > 0 ? `; try ${tried.join("; or ")}` : ""}`;
      return wrapped(said, width, "    ");
    }),
  ]);
}

/** Remedies whose option there is. */
export function knownRemedies(remedies: readonly Remedy[]): string[] {
  return remedies.filter(({ option }) => option === undefined || Object.hasOwn(ROWS, option)).map(({ text }) => text);
}

export function dbText(noise: Noise): string {
  if (noise === 0) return "equal";
  const value = sqnrOf(noise);
  return Number.isFinite(value) ? value.toFixed(1) : "none";
}

/** The same for programs: dB as numbers, null where there is no error. */
export function diagnosisFacts(diagnosis: Diagnosis): object {
  const { outputs, causes, samples, unmatched } = diagnosis;
  return {
    samples,
    outputs: outputs.map(({ name, all, weights, inner, inputs, outputs, shaken, predicted, contributions }) => ({
      name,
      sqnr: {
        all: db(all),
        weights: db(weights),
        activations: db(inner),
        inputs: db(inputs),
        outputs: db(outputs),
        sum: db(predicted),
        floatWithShakenInputs: db(shaken),
      },
      roundings: contributions.map(({ noise, ...rest }) => ({ ...rest, sqnr: db(noise) })),
    })),
    causes: causes.map(({ remedies, ...rest }) => ({ ...rest, try: knownRemedies(remedies) })),
    unmatchedConstants: unmatched,
  };
}

function db(noise: Noise): number | null {
  const value = sqnrOf(noise);
  return Number.isFinite(value) ? value : null;
}
