/** Phases of results for LiteRT (src/driver/quantize.ts, weights-alone.ts): versions of operators, and a run before the file gets its name. */
import { FileError } from "../base/errors.ts";
import { setOperatorVersions } from "../passes/litert/operator-versions.ts";
import { refusalText } from "../trial/refusal.ts";
import type { Trial } from "../trial/trial.ts";
import type { Phase, Run } from "./run.ts";
import type { QuantizeSettings, Settings } from "./settings.ts";

/** What the phase asks of settings: whatever flow it ends. */
type Tried = Settings & Pick<QuantizeSettings, "withoutRun" | "samples">;

/** Runs the result once before it gets its name. Throws a FileError (`litert-refuses`) where LiteRT does not take it. */
export async function runInLiteRT(run: Run<Tried>): Promise<void> {
  // Loaded here: a .circle result needs nothing of it.
  const { tryModel } = await import("../trial/trial.ts");
  const trial = await tryModel(run.temporary!, {
    shapes: run.shapes,
    memoryLimit: run.settings.samples?.memoryLimit,
    onProgress: run.io.progress("running in LiteRT", "operators"),
  });
  // What LiteRT cannot do with the float model either is no fault of the result (recurrent loops that its delegate does not prepare).
  if ("refused" in trial && run.opened.dialect === "tflite") {
    const before = await tryModel(run.settings.model, { shapes: run.shapes });
    if (!before.ran) {
      run.facts.run = { runtime: "LiteRT", ran: false, reason: "the one inside does not run the float model either" };
      return;
    }
  }
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

/** For LiteRT's schemes. */
export const OPERATOR_VERSIONS: Phase = {
  name: "operator versions",
  span: "passes",
  why: "needs dtypes and scales of all graphs: operators of a kind share a version",
  run: ({ space }) => setOperatorVersions(space),
};

/** Between the last byte and the name of the file. */
export const RUN_IN_LITERT: Phase<Tried> = {
  name: "run in LiteRT",
  span: "run",
  when: ({ dialect, settings }) => dialect === "tflite" && !settings.withoutRun,
  why: "the last word has the runtime: what it refuses gets no name",
  run: runInLiteRT,
};
