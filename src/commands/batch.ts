/** `minmaxq batch`: many models, on this machine or on those that take jobs from a queue. */
import type { Output } from "../base/output.ts";
import { SHARED_JOB_OPTIONS } from "../options/lists.ts";
import type { OptionName } from "../options/table.ts";
import type { Given, OptionValues } from "../options/values.ts";
import type { Command } from "./command.ts";

/** Options of the batch itself; all others are those of its jobs. */
const OWN: readonly OptionName[] = [
  "out",
  "overrides",
  "dryRun",
  "failed",
  "jobs",
  "isolate",
  "failFast",
  "redo",
  "queue",
  "json",
];

export const batch: Command = {
  name: "batch",
  summary: "quantize many models: those of a job list, or all below a folder",
  positionals: ["jobs.json|folder"],
  options: [...OWN, ...SHARED_JOB_OPTIONS],
  examples: [
    "minmaxq batch jobs.json",
    "minmaxq batch models/ --data samples.npz --out quantized/",
    "minmaxq batch models/ --data samples.npz --out quantized/ --overrides special.json --dry-run",
    "minmaxq batch jobs.json --compare --fail-below sqnr=20",
    "minmaxq batch jobs.json --failed",
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
  const ofJobs = new Map([...given].filter(([name]) => SHARED_JOB_OPTIONS.includes(name)));
  await runBatch(path!, options, output, ofJobs);
}
