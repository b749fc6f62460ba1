/**
 * The own flow cut in two, for those who quantize one model many times: all up to the ranges, once; then all that follows, for each choice
 * of layers. Both are OWN_FLOW's own phases in its order.
 *
 *     model ─ prepareAndRecord ─▶ float model with ranges ─ quantizeRecorded ─▶ quantized model, quickly: for a search
 *     model ─────────────────────── quantizeWhole ────────────────────────────▶ quantized model, as `quantize` makes it
 *
 * Ranges are recorded with float weights, because which weights are rounded, and how, is what is still to be chosen. Of accuracy's methods the
 * quick way has headroom alone. Where weights alone are quantized nothing is recorded, and samples run for bias correction alone, which is much
 * of the result there.
 */
import { ACCURACY_LEVELS } from "../accuracy/settings.ts";
import { type Io, SILENT } from "./io.ts";
import { writeResult } from "./phases.ts";
import { OWN_FLOW, quantize } from "./quantize.ts";
import type { Report } from "./report.ts";
import { type Phase, Run, runFlow } from "./run.ts";
import type { QuantizeSettings } from "./settings.ts";
import { quantizeWeightsAlone, type WeightsAloneSettings } from "./weights-alone.ts";

/** What is quantized many times; `weights`: weights alone. */
export type SearchedSettings = QuantizeSettings & Partial<Pick<WeightsAloneSettings, "weights">>;

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

/** Quantizes what `prepareAndRecord` wrote; a float model as it is where weights alone are meant. Throws a MinmaxqError. */
export function quantizeRecorded(settings: SearchedSettings, io: Io = SILENT): Promise<Report> {
  const { weights } = settings;
  const { margin, margin16, biasCorrection } = settings.accuracy ?? ACCURACY_LEVELS.compat;
  if (weights) {
    const accuracy = { ...ACCURACY_LEVELS.compat, biasCorrection };
    return quantizeWeightsAlone({ ...settings, weights, accuracy }, io);
  }
  const accuracy = { ...ACCURACY_LEVELS.compat, margin16, ...(margin !== undefined && { margin }) };
  return runFlow(OWN_FLOW, new Run({ ...settings, accuracy, samples: undefined }, io));
}

/** Quantizes a model as `quantize` does, with its samples and all of accuracy's methods. Throws a MinmaxqError. */
export function quantizeWhole(settings: SearchedSettings, io: Io = SILENT): Promise<Report> {
  const { weights } = settings;
  return weights ? quantizeWeightsAlone({ ...settings, weights }, io) : quantize(settings, io);
}
