/**
 * The own flow cut in two, for those who quantize one model many times: all up to the ranges, once; then all that follows, for each choice
 * of layers. Both are OWN_FLOW's own phases in its order.
 *
 *     model ─ prepareAndRecord ─▶ float model with ranges ─ quantizeRecorded ─▶ quantized model
 *
 * Ranges are recorded with float weights, because which weights are rounded, and how, is what is still to be chosen.
 */
import { activeNodes } from "../graph/graph.ts";
import { hasRange, quantParam } from "../graph/quantparam.ts";
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

/** Prepares a model, runs it on its samples and writes it, float, with the ranges. Throws a MinmaxqError. */
export function prepareAndRecord(settings: QuantizeSettings, io: Io = SILENT): Promise<Report> {
  const upTo = OWN_FLOW.slice(0, OWN_FLOW.findIndex(({ name }) => name === RECORD) + 1);
  return runFlow([...upTo.filter(({ name }) => !WITHOUT.includes(name)), WRITE], new Run(settings, io));
}

/** Prepares a model and writes it, float. Throws a MinmaxqError. */
export function prepareOnly(settings: QuantizeSettings, io: Io = SILENT): Promise<Report> {
  const upTo = OWN_FLOW.slice(
    0,
    OWN_FLOW.findIndex(({ name }) => name === RECORD),
  );
  return runFlow([...upTo.filter(({ name }) => !WITHOUT.includes(name)), WRITE], new Run(settings, io));
}

/** Bits of activations from which recorded ranges get headroom. */
const WIDE_BITS = 16;

/**
 * Activations of 16 bits get `headroom` times their recorded range: one bit of sixteen, against clipping on samples that did not set it
 * (measured: 5 to 43 dB). Behind what clips masks, whose ends are no accident.
 */
const widen = (headroom: number): Phase<QuantizeSettings> => ({
  name: "widen ranges",
  why: "16 bits have room for inputs unlike the samples",
  run({ graphs, space: { context } }) {
    for (const graph of graphs)
      for (const node of activeNodes(graph)) {
        const { scheme } = context.layers.get(node.name) ?? context.options;
        if (node.kind === "constant" || !hasRange(node.quant) || scheme.activation.bits < WIDE_BITS) continue;
        const wider = (values: Float32Array) => values.map((value) => value * headroom);
        node.quant = quantParam({ ...node.quant, min: wider(node.quant.min), max: wider(node.quant.max) });
      }
  },
});

/** Quantizes what `prepareAndRecord` wrote. `headroom`: of 16-bit activations, 1 for none. Throws a MinmaxqError. */
export function quantizeRecorded(settings: QuantizeSettings, headroom: number, io: Io = SILENT): Promise<Report> {
  const at = OWN_FLOW.findIndex(({ name }) => name === "keep infinite") + 1;
  const flow = headroom === 1 ? OWN_FLOW : OWN_FLOW.toSpliced(at, 0, widen(headroom));
  return runFlow(flow, new Run({ ...settings, samples: undefined }, io));
}
