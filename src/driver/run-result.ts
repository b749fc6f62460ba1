/** The phase "run in LiteRT" of `quantize` (src/driver/quantize.ts). */
import { FileError } from "../base/errors.ts";
import { refusalText } from "../trial/refusal.ts";
import type { Trial } from "../trial/trial.ts";
import type { Run } from "./run.ts";
import type { QuantizeSettings } from "./settings.ts";

/** Runs the result once before it gets its name. Throws a FileError (`litert-refuses`) where LiteRT does not take it. */
export async function runInLiteRT(run: Run<QuantizeSettings>): Promise<void> {
  // Loaded here: a .circle result needs nothing of it.
  const { tryModel } = await import("../trial/trial.ts");
  const trial = await tryModel(run.temporary!, { shapes: run.shapes, memoryLimit: run.settings.samples?.memoryLimit });
  refuse(run.settings.model, trial, "the quantized model: ");
  run.facts.run = { runtime: "LiteRT", ...(trial.ran ? { ran: true } : { ran: false, reason: notRunReason(trial) }) };
}

/** Throws a FileError about a file that LiteRT refuses; `what` of it is a phrase that ends in a colon. */
export function refuse(path: string, trial: Trial, what = ""): void {
  if (trial.ran || !("refused" in trial)) return;
  throw new FileError(path, `${what}${refusalText(trial.refused)}`, { code: "litert-refuses" });
}

function notRunReason(trial: Trial): string | undefined {
  return "reason" in trial ? trial.reason : undefined;
}
