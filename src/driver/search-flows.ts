/**
 * The own flow cut in two, for those who quantize one model many times: all up to the ranges, once; then all that follows, for each choice
 * of layers. Both are OWN_FLOW's own phases in its order.
 *
 *     model ─ prepareAndRecord ─▶ float model with ranges ─ quantizeRecorded ─▶ quantized model
 *
 * Ranges are recorded with float weights, because which weights are rounded, and how, is what is still to be chosen.
 */
import { ACCURACY_LEVELS } from "../accuracy/settings.ts";
import { type Io, SILENT } from "./io.ts";
import { writeResult } from "./phases.ts";
import { OWN_FLOW } from "./quantize.ts";
import type { Report } from "./report.ts";
import { type Phase, Run, runFlow } from "./run.ts";
import type { QuantizeSettings } from "./settings.ts";

const RECORD = "record";
const WITHOUT = ["start threads", "begin output", "fake-quantize weights"];

const WRITE: Phase<QuantizeSettings> = {
  name: "write",
  files: true,
  why: "the prepared float model, with ranges",
  run: (run) => writeResult(run, []),
};

/** OWN_FLOW's phases before the one after the ranges, which are recorded or not, and the file. */
function begun(settings: QuantizeSettings, recorded: boolean, io: Io): Promise<Report> {
  const at = OWN_FLOW.findIndex(({ name }) => name === RECORD);
  const upTo = OWN_FLOW.slice(0, recorded ? at + 1 : at);
  return runFlow([...upTo.filter(({ name }) => !WITHOUT.includes(name)), WRITE], new Run(settings, io));
}

/** Prepares a model, runs it on its samples and writes it, float, with the ranges. Throws a MinmaxqError. */
export function prepareAndRecord(settings: QuantizeSettings, io: Io = SILENT): Promise<Report> {
  return begun(settings, true, io);
}

/** Prepares a model and writes it, float. Throws a MinmaxqError. */
export function prepareOnly(settings: QuantizeSettings, io: Io = SILENT): Promise<Report> {
  return begun(settings, false, io);
}

/** Quantizes what `prepareAndRecord` wrote. `headroom`: of 16-bit activations, 1 for none. Throws a MinmaxqError. */
export function quantizeRecorded(settings: QuantizeSettings, headroom: number, io: Io = SILENT): Promise<Report> {
  const accuracy = { ...ACCURACY_LEVELS.compat, margin16: headroom };
  return runFlow(OWN_FLOW, new Run({ ...settings, accuracy, samples: undefined }, io));
}
