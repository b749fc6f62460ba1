/** `minmaxq batch`: many models, on this machine or on those that take jobs from a queue. */
import type { OptionName, OptionValues } from "../options/table.ts";
import type { Command, Given, Output } from "./command.ts";
import { quantize } from "./quantize.ts";

/** Options of the batch itself; all others are those of its jobs. */
const OWN: readonly OptionName[] = ["out", "jobs", "failFast", "redo", "queue"];
/** What one model has for itself cannot be said for all of a folder. */
const SINGLE: readonly OptionName[] = ["output", "explain", "force", "json"];

export const batch: Command = {
  name: "batch",
  summary: "quantize many models: those of a job list, or all below a folder",
  positionals: ["jobs.json|folder"],
  options: [...OWN, ...quantize.options.filter((name) => !SINGLE.includes(name))],
  examples: [
    "minmaxq batch jobs.json",
    "minmaxq batch models/ --data samples.npz --out quantized/",
    "minmaxq batch jobs.json --queue redis://queue.example:6379",
  ],
  run,
};

async function run(
  [path]: readonly string[],
  options: OptionValues,
  output: Output,
  given: Given = new Map(),
): Promise<void> {
  const { runBatch } = await import("../batch/batch.ts");
  const ofJobs = new Map([...given].filter(([name]) => !OWN.includes(name)));
  await runBatch(path!, options, output, ofJobs);
}
