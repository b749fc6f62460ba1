/** What became of a job. */
import { z } from "zod";
import { sizeText } from "../base/text.ts";
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

export function sizesOf(outcome: Outcome): string {
  return "bytes" in outcome ? outcome.bytes.map(sizeText).join(" → ") : "";
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
