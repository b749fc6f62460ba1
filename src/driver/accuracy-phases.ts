/** Phases that win accuracy back (src/accuracy): none of them runs unless it is asked for. */
import { shiftsOf, shrunkMean, takeFromBias } from "../accuracy/bias.ts";
import { Gathered, type GatheredLayer } from "../accuracy/gathered.ts";
import { type LinearLayer, weightsOf } from "../accuracy/layers.ts";
import { widenRanges } from "../accuracy/ranges.ts";
import { type LayerQuantizer, roundLayers } from "../accuracy/round-layers.ts";
import { type AccuracySettings, changesWeights, needsMoments } from "../accuracy/settings.ts";
import type { Context } from "../passes/context.ts";
import { clearParameters } from "../passes/transform/fake-quantize-weights.ts";
import type { ChannelLayout, Constant } from "../weights/constant.ts";
import { equalizeChannels } from "./equalize-phase.ts";
import type { Phase, Run } from "./run.ts";
import type { QuantizeSettings, Settings } from "./settings.ts";

type Own = Run<QuantizeSettings>;

/** Whether something is to be known of what layers read, which samples tell. */
export function gathersMoments({ settings }: Own): boolean {
  const { accuracy, samples } = settings;
  return accuracy !== undefined && samples !== undefined && needsMoments(accuracy);
}

/** Whether recorded ranges get headroom. */
function hasMargin({ settings: { accuracy } }: Own): boolean {
  return accuracy !== undefined && (accuracy.margin ?? accuracy.margin16) !== 1;
}

/** With `best`: 16 bits for everything, where uneven channels cost less than any limit that factors bring nearer. A person who asks for --equalize gets it. */
function isFine({ settings: { accuracy }, options: { scheme, granularity } }: Own): boolean {
  return accuracy!.accept && scheme.activation.bits >= 16 && scheme.weights[granularity].bits >= 16;
}

/** Forgets ranges of the file; the float model is what is recorded. Weights are rounded behind it. */
function beginMoments(run: Own): void {
  const { space, graphs } = run;
  if (!run.settings.samples) {
    space.context.notes.push({
      kind: "note",
      code: "accuracy-without-samples",
      text: "--accuracy: what needs samples (bias correction, rounding by least squares) is left out; give some with --data",
    });
    return;
  }
  for (const graph of graphs) clearParameters(graph, space.context);
  const { accuracy } = run.settings;
  run.gathered = new Gathered(graphs, changesWeights(accuracy!), accuracy!.accept);
  run.atEnd(() => run.gathered!.close());
}

/** The weights of layers as they are now. */
export function valuesOf(layers: readonly GatheredLayer[]): Map<LinearLayer, Constant> {
  return new Map(layers.map(({ layer }) => [layer, weightsOf(layer).constant]));
}

/** Rounds weights by least squares, where that is asked for. */
export async function roundBySquares(
  { space, gathered, settings, io }: Run<Pick<QuantizeSettings, "samples"> & Settings>,
  { rounding, smallerScales }: AccuracySettings,
  quantizerOf: (layer: LinearLayer) => LayerQuantizer | null,
): Promise<void> {
  if (rounding !== "gptq") return;
  await roundLayers(space.context, gathered!.layers, quantizerOf, {
    shrink: smallerScales,
    workers: settings.samples?.workers,
    onProgress: io.progress("rounding weights", "layers"),
  });
}

/** By the means of what a layer reads: its bias takes back what `rounded` weights add to those of `values`. */
export function correctBias(
  context: Context,
  { layer, moments }: GatheredLayer,
  values: Constant,
  rounded: Constant & { readonly layout: ChannelLayout },
): void {
  const means = moments.groupMeans();
  if (means.length === 0) return;
  const shifts = shiftsOf(context.scanner, layer, { values, rounded, layout: rounded.layout }, means);
  takeFromBias(context, layer, shrunkMean(shifts), "input mean");
}

/** Headroom for recorded ranges. */
function widenAllRanges({ space, graphs, settings }: Own): void {
  for (const graph of graphs) widenRanges(graph, space.context, settings.accuracy!);
}

export const EQUALIZE: Phase<QuantizeSettings> = {
  name: "equalize",
  span: "record",
  when: (run) => run.settings.accuracy?.equalize === true && run.settings.samples !== undefined && !isFine(run),
  why: "it changes weights and what is measured, so before weights are rounded, and ranges and moments recorded",
  run: equalizeChannels,
};
export const BEGIN_MOMENTS: Phase<QuantizeSettings> = {
  name: "begin moments",
  when: ({ settings: { accuracy } }) => accuracy !== undefined && needsMoments(accuracy),
  why: "what layers read is that of the float model, so that its weights are not rounded yet",
  run: beginMoments,
};
export const WIDEN_RANGES: Phase<QuantizeSettings> = {
  name: "widen ranges",
  when: hasMargin,
  why: "headroom for inputs unlike the samples; behind masks, whose ends are no accident",
  run: widenAllRanges,
};
