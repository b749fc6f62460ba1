/** `minmaxq worker`: takes jobs from a queue that `minmaxq batch --queue` fills. */

import type { Output } from "../base/output.ts";
import type { OptionValues } from "../options/values.ts";
import type { Command } from "./command.ts";

export const worker: Command = {
  name: "worker",
  summary: "take jobs from the queue of 'batch --queue', until Ctrl-C",
  positionals: [],
  options: ["queue", "root", "jobs", "takeOver"],
  demands: ["queue", "root"],
  examples: ["minmaxq worker --queue redis://queue.example:6379 --root /shared/models --root /shared/quantized"],
  run,
};

async function run(_: readonly string[], options: OptionValues, output: Output): Promise<void> {
  const { runWorker } = await import("../batch/worker.ts");
  await runWorker(options, output);
}
