/** What phases of `--accuracy` do, and what steps of them share. Loaded when it is asked for: it can run models. */
import { shiftsOf, shrunkMean, takeFromBias } from "../accuracy/bias.ts";
import { Gathered, type GatheredLayer } from "../accuracy/gathered.ts";
import { type LinearLayer, weightsOf } from "../accuracy/layers.ts";
import { widenRanges } from "../accuracy/ranges.ts";
import { type LayerQuantizer, roundLayers } from "../accuracy/round-layers.ts";
import { type AccuracySettings, changesWeights } from "../accuracy/settings.ts";
import { collectNear } from "../base/memory.ts";
import { clearParameters } from "../passes/transform/fake-quantize-weights.ts";
import type { ChannelLayout, Constant } from "../weights/constant.ts";
import type { Run } from "./run.ts";
import type { QuantizeSettings, Settings } from "./settings.ts";

type Own = Run<QuantizeSettings>;

/** Forgets ranges of the file; the float model is what is recorded. Weights are rounded behind it. */
export function beginMoments(run: Own): void {
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
  run.gathered = new Gathered(graphs, changesWeights(accuracy!), {
    tries: accuracy!.accept,
    memoryLimit: run.settings.samples.memoryLimit,
  });
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
    kept: gathered!.rounded,
    workers: settings.samples?.workers,
    memoryLimit: settings.samples?.memoryLimit,
    onProgress: io.progress("rounding weights", "layers"),
  });
}

/** By the means of what a layer reads: its bias takes back what `rounded` weights add to those of `values`. */
export function correctBias(
  { space: { context }, settings }: Run<Pick<QuantizeSettings, "samples"> & Settings>,
  { layer, moments }: GatheredLayer,
  values: Constant,
  rounded: Constant & { readonly layout: ChannelLayout },
): void {
  const means = moments.groupMeans();
  if (means.length === 0) return;
  // The layer before left pieces of its weights.
  collectNear(settings.samples?.memoryLimit);
  const shifts = shiftsOf(context.scanner, layer, { values, rounded, layout: rounded.layout }, means);
  takeFromBias(context, layer, shrunkMean(shifts), "input mean");
}

/** Headroom for recorded ranges. */
export function widenAllRanges(run: Own, accuracy: AccuracySettings): void {
  for (const graph of run.graphs) widenRanges(graph, run.space.context, accuracy);
}
