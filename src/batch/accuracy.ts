/** How far a job's result is from its model on the job's own samples. */
import { z } from "zod";
import { brokenLimits, type Limit } from "../compare/limits.ts";
import type { Io } from "../driver/io.ts";
import { openModel } from "../model/index.ts";
import { sourcesOf } from "../options/sources.ts";
import type { OptionValues } from "../options/values.ts";
import { forQuantize, type Job } from "./job.ts";

/** Of the output that is farthest off. As it is kept and sent: JSON has no infinite numbers. */
export const ACCURACY = z.object({
  output: z.string(),
  /** dB; `equal`: not one value differs; `none`: it is no number (NaN or infinite values, or the model yields only zeros). */
  sqnr: z.union([z.number(), z.enum(["equal", "none"])]),
  /** So many were run, of all signatures together. */
  samples: z.number(),
  /** How the result was run: by its own kernels, or as the float model that rounds as it does. */
  ran: z.string(),
  /** Limits of the job that are broken, one line each. */
  broken: z.array(z.string()),
});
export type Accuracy = z.infer<typeof ACCURACY>;

/** Runs a job's model and its result, one signature after the other. Throws a MinmaxqError where they cannot be run. */
export async function accuracyOf({ model, output, options }: Job, io: Io): Promise<Accuracy> {
  // Loaded on demand: most jobs run nothing after their result is there.
  const { compareOpened } = await import("../options/compare.ts");
  const opened = [openModel(model), openModel(output)] as const;
  try {
    const outputs = [];
    let [samples, ran] = [0, ""];
    // Where ranges came from the samples, everything was said of them.
    const recorded = forQuantize(options).data !== undefined;
    const tell = (line: string) => {
      if (!recorded && line.startsWith("warning: ")) io.tell(line);
    };
    const most = typeof options.compare === "number" ? options.compare : undefined;
    for (const source of sourcesOf(options)) {
      const { comparison } = await compareOpened(opened, [model, output], source, options, { ...io, tell }, most);
      outputs.push(...comparison.outputs);
      samples += comparison.records;
      ran = comparison.ran;
    }
    const worst = outputs.toSorted((a, b) => rank(a.metrics.sqnr) - rank(b.metrics.sqnr))[0];
    const sqnr = worst?.metrics.sqnr ?? Number.NaN;
    return {
      output: worst?.name ?? "",
      sqnr: sqnr === Number.POSITIVE_INFINITY ? "equal" : Number.isFinite(sqnr) ? sqnr : "none",
      samples,
      ran,
      broken: brokenLimits(outputs, limitsOf(options)),
    };
  } finally {
    for (const each of opened) each.close();
  }
}

/** What is no number is the worst. */
function rank(sqnr: number): number {
  return Number.isNaN(sqnr) ? Number.NEGATIVE_INFINITY : sqnr;
}

export function limitsOf({ failBelow = [], failAbove = [] }: OptionValues): Limit[] {
  return [...failBelow, ...failAbove];
}

/** What jobs that broke limits have in common: "an output breaks fail-below sqnr=20". */
export function limitsText({ failBelow = [], failAbove = [] }: OptionValues): string {
  const text = (word: string, limits: readonly Limit[]) =>
    limits.length > 0 ? [`${word} ${limits.map(({ metric, limit }) => `${metric}=${limit}`).join(",")}`] : [];
  return `an output breaks ${[...text("fail-below", failBelow), ...text("fail-above", failAbove)].join(" or ")}`;
}

/** For a column: "34.2", "equal", "none". */
export function sqnrText({ sqnr }: Accuracy): string {
  return typeof sqnr === "number" ? sqnr.toFixed(1) : sqnr;
}
