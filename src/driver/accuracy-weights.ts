/** What `--accuracy` does where weights alone are quantized (weights-alone.ts, quantize-weights): nothing is recorded for its ranges. */
import { Gathered } from "../accuracy/gathered.ts";
import type { LinearLayer } from "../accuracy/layers.ts";
import type { LayerQuantizer } from "../accuracy/round-layers.ts";
import { type AccuracySettings, changesWeights } from "../accuracy/settings.ts";
import { fakeQuantized } from "../passes/transform/fake-quantize-weights.ts";
import { planOf, type WeightsAlone } from "../passes/transform/weights-plan.ts";
import { exportWorkspace } from "../passes/workspace.ts";
import { channelsAlong } from "../weights/constant.ts";
import { fillConstants } from "../weights/fill.ts";
import { correctBias, roundBySquares, valuesOf } from "./accuracy-work.ts";
import { recordSamples } from "./recording.ts";
import type { Run } from "./run.ts";
import type { QuantizeSettings, Settings } from "./settings.ts";
import { fedBy } from "./signatures.ts";

type Own = Run<Settings & Pick<QuantizeSettings, "samples" | "accuracy">>;

/** Runs samples for what layers read, and changes weights and biases. `quantizerOf`: what a layer's weights become; null where nothing does. */
export async function improveWeights(
  run: Own,
  quantizerOf: (layer: LinearLayer) => (LayerQuantizer & { readonly inBlocks?: boolean }) | null,
): Promise<void> {
  const { settings, space, graphs, opened, io } = run;
  const accuracy = settings.accuracy as AccuracySettings;
  const gathered = new Gathered(graphs.length > 0 ? graphs : space.graphs, changesWeights(accuracy), settings.samples);
  run.gathered = gathered;
  run.atEnd(() => gathered.close());
  if (settings.samples) {
    const { model, nodes } = exportWorkspace(space);
    const feds = fedBy(opened.model, settings.samples.sources);
    const { notes } = await recordSamples(model, settings.samples, feds, io, fillConstants, {
      moments: (samples) => gathered.request(nodes, (graph) => space.graphs.indexOf(graph), samples),
    });
    space.context.notes.push(...notes);
  } else gathered.withoutSamples();
  const { context } = space;
  const values = valuesOf(gathered.layers);
  await roundBySquares(run, accuracy, (layer) => {
    const how = quantizerOf(layer);
    // Blocks take their scales from their values, so these must be what they were.
    return how?.inBlocks ? null : how;
  });
  if (!accuracy.biasCorrection || !settings.samples) return;
  for (const each of gathered.layers) {
    const how = quantizerOf(each.layer);
    const weights = each.layer.node.inputs[each.layer.weightsAt]!;
    if (!how || how.inBlocks) continue;
    const { constant } = weights;
    const rounded =
      constant!.kind === "dequantized" && weights.changes.length > 0
        ? constant
        : fakeQuantized(context, weights, how.layout, how.quantizer).constant;
    if (rounded.kind === "fake" || rounded.kind === "dequantized")
      correctBias(context, each, values.get(each.layer)!, rounded);
  }
  context.scanner.throwProblems();
}

/** What a plan of weights alone makes of a layer's weights. */
export function quantizerOfPlan(weights: WeightsAlone) {
  return ({ node, weightsAt }: LinearLayer): (LayerQuantizer & { readonly inBlocks: boolean }) | null => {
    const plan = planOf(node, weights);
    if (!plan || "float" in plan || !plan.quantizer || plan.perTensor) return null;
    const planned = plan.operands.find(({ index }) => index === weightsAt);
    if (!planned) return null;
    const { quantizer, blocks } = plan;
    const { axis, operand } = planned;
    return { quantizer, axis, layout: channelsAlong(operand.shape, axis), inBlocks: blocks !== undefined };
  };
}
