/** What became of a job, and all of them as a table. */
import { z } from "zod";
import { sizeText } from "../base/text.ts";
import { remarks } from "../views/summary.ts";
import { ACCURACY, type Accuracy } from "./accuracy.ts";

/** What a job that was run gives back; also what comes back through the queue. */
export const DONE = z.object({
  /** Bytes of the model and of the output. */
  bytes: z.tuple([z.number(), z.number()]),
  /** Of the output. */
  sha256: z.string(),
  /** What `quantize` says it did, and its warnings. */
  summary: z.array(z.string()),
  warnings: z.array(z.string()),
  /** Notes of the Report: what stays float or was quantized already, and warnings. */
  notes: z
    .array(z.object({ kind: z.enum(["float", "kept", "warning", "note"]), code: z.string(), text: z.string() }))
    .optional(),
  /** Where the job asked for it. */
  accuracy: ACCURACY.optional(),
});
export type Done = z.infer<typeof DONE>;

export type Outcome =
  | ({ readonly status: "done" | "skipped"; readonly seconds: number } & Done)
  | Failed
  /** Interrupted, or not started. */
  | { readonly status: "stopped"; readonly seconds: number; readonly reason: string };

export interface Failed {
  readonly status: "failed";
  readonly seconds: number;
  readonly reason: string;
  /** What it has in common with others whose reasons differ in numbers. */
  readonly group?: string | undefined;
  /** Of a result that broke a limit. */
  readonly accuracy?: Accuracy | undefined;
}

export interface Colours {
  bold(text: string): string;
  green(text: string): string;
  red(text: string): string;
  yellow(text: string): string;
  dim(text: string): string;
}

/** One line per job: model, status, sizes, seconds, and why it failed. */
export function table(rows: readonly { shown: string; outcome: Outcome }[], colours: Colours): string[] {
  const cells = rows.map(({ shown, outcome }) => [shown, outcome.status, sizesOf(outcome), secondsOf(outcome)]);
  const head = ["model", "status", "size", "seconds"];
  const widths = head.map((title, i) => Math.max(title.length, ...cells.map((row) => Bun.stringWidth(row[i]!))));
  const pad = (text: string, i: number) => {
    const space = " ".repeat(widths[i]! - Bun.stringWidth(text));
    return i === 3 ? space + text : text + space;
  };
  const lines = cells.map((row, index) => {
    const { outcome } = rows[index]!;
    const said = "reason" in outcome ? oneLine(outcome.reason) : remarks(outcome.notes ?? [], outcome.warnings.length);
    const why = said && `  ${said}`;
    const [model, status, ...rest] = row.map(pad);
    return [model, coloured(outcome.status, status!, colours), ...rest].join("  ") + why;
  });
  return [colours.bold(head.map(pad).join("  ").trimEnd()), ...lines.map((line) => line.trimEnd())];
}

function coloured(status: Outcome["status"], text: string, colours: Colours): string {
  if (status === "failed") return colours.red(text);
  if (status === "stopped") return colours.yellow(text);
  return status === "done" ? colours.green(text) : colours.dim(text);
}

export function sizesOf(outcome: Outcome): string {
  return "bytes" in outcome ? outcome.bytes.map(sizeText).join(" → ") : "";
}

function secondsOf(outcome: Outcome): string {
  return outcome.status === "skipped" || outcome.seconds === 0 ? "" : outcome.seconds.toFixed(1);
}

/** Several lines (a list of problems) as one. */
export function oneLine(text: string): string {
  return text.replace(/:\s*\n\s*/g, ": ").replace(/\s*\n\s*/g, "; ");
}

/** "3 done, 1 skipped, 2 failed". */
export function counts(outcomes: readonly Outcome[]): string {
  const count = (status: Outcome["status"]) => outcomes.filter((outcome) => outcome.status === status).length;
  const parts = (["done", "skipped", "failed", "stopped"] as const).filter((status) => count(status) > 0);
  return parts.map((status) => `${count(status)} ${status}`).join(", ") || "none";
}
