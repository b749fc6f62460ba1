/** What `--accuracy` does where weights alone are quantized (weights-alone.ts, quantize-weights): nothing is recorded for its ranges. */

import { nearestInBlocks } from "../accuracy/block-rounding.ts";
import { Gathered } from "../accuracy/gathered.ts";
import { type LinearLayer, weightsOf } from "../accuracy/layers.ts";
import type { LayerQuantizer } from "../accuracy/round-layers.ts";
import { type AccuracySettings, changesWeights } from "../accuracy/settings.ts";
import { ownConstant } from "../graph/edit.ts";
import { fakeQuantized } from "../passes/transform/fake-quantize-weights.ts";
import { planOf, type WeightsAlone } from "../passes/transform/weights-plan.ts";
import { exportWorkspace } from "../passes/workspace.ts";
import { type Constant, channelsAlong } from "../weights/constant.ts";
import { fillConstants } from "../weights/fill.ts";
import { withKernels } from "../weights/kernels.ts";
import { Attempts, restore, stateOf } from "./accuracy-attempts.ts";
import { Trials } from "./accuracy-trials.ts";
import { correctBias, roundBySquares, valuesOf } from "./accuracy-work.ts";
import { recordSamples } from "./recording.ts";
import type { Run } from "./run.ts";
import type { QuantizeSettings, Settings } from "./settings.ts";
import { fedBy } from "./signatures.ts";

type Own = Run<Settings & Pick<QuantizeSettings, "samples" | "accuracy">>;

type HowOf = (layer: LinearLayer) => LayerQuantizer | null;

/**
 * Runs samples for what layers read, and changes weights and biases. Where steps are tried, activations stay float in trials, as they do in the
 * result (hybrid kernels round them by what each sample shows). `howOf`: what a layer's weights become; null where nothing does.
 */
export async function improveWeights(run: Own, howOf: HowOf): Promise<void> {
  const { settings, space, graphs, opened, io } = run;
  const { samples } = settings;
  const accuracy = settings.accuracy as AccuracySettings;
  const gathered = new Gathered(graphs.length > 0 ? graphs : space.graphs, changesWeights(accuracy), {
    tries: accuracy.accept && samples !== undefined,
    memoryLimit: samples?.memoryLimit,
  });
  run.gathered = gathered;
  run.atEnd(() => gathered.close());
  if (samples) {
    const { model, nodes } = exportWorkspace(space);
    run.fed = fedBy(opened.model, samples.sources);
    const { notes } = await recordSamples(model, samples, run.fed, io, fillConstants, {
      moments: (count) => gathered.request(nodes, (graph) => space.graphs.indexOf(graph), count),
      ...(gathered.kept && { watch: (number, data) => gathered.kept!.watch(number, data) }),
    });
    space.context.notes.push(...notes);
  } else gathered.withoutSamples();
  const values = valuesOf(gathered.layers);
  const apply = (asked: AccuracySettings) => roundAndCorrect(run, asked, howOf, values);
  const trials = gathered.kept ? await Trials.begin(run as Run<QuantizeSettings>, [], gathered.kept) : null;
  if (trials) {
    const attempts = new Attempts(run, trials);
    const measure = () => withRounded(run, howOf, () => trials.measureWeights());
    await attempts.begin(measure);
    await attempts.tryRounding(accuracy, measure, apply);
  } else await apply(accuracy);
  space.context.scanner.throwProblems();
}

async function roundAndCorrect(
  run: Own,
  accuracy: AccuracySettings,
  howOf: HowOf,
  values: ReturnType<typeof valuesOf>,
): Promise<void> {
  await roundBySquares(run, accuracy, howOf);
  if (!accuracy.biasCorrection || !run.settings.samples) return;
  for (const each of run.gathered!.layers) {
    const how = howOf(each.layer);
    const constant = how && roundedConstant(run, each.layer, how);
    const { outputs, length } = each.layer;
    if (constant?.kind === "fake" || constant?.kind === "dequantized")
      correctBias(run, each, values.get(each.layer)!, constant);
    else if (constant?.kind === "blockwise")
      correctBias(run, each, values.get(each.layer)!, {
        ...constant,
        layout: { outer: 1, channels: outputs, inner: length },
      });
  }
}

/** What a layer's weights will be: chosen already, or to the nearest. */
function roundedConstant({ space: { context }, gathered }: Own, layer: LinearLayer, how: LayerQuantizer): Constant {
  const weights = weightsOf(layer);
  const { constant, changes } = weights;
  if ((constant.kind === "dequantized" || constant.kind === "blockwise") && changes.some(({ by }) => by === "rounding"))
    return constant;
  const { block, quantizer, layout } = how;
  if (block === undefined) return fakeQuantized(context, weights, layout, quantizer).constant;
  return gathered!.nearestInBlocks(constant, block, () => {
    const values = context.scanner.unchecked(constant);
    return withKernels((kernels) => nearestInBlocks(values, { block, high: quantizer.high }, kernels));
  });
}

/** Does something with a model whose weights are what they will be, and gives it its own back. */
async function withRounded<T>(run: Own, howOf: HowOf, work: () => Promise<T>): Promise<T> {
  const { layers } = run.gathered!;
  const state = stateOf(layers);
  for (const { layer } of layers) {
    const how = howOf(layer);
    if (!how) continue;
    const constant = roundedConstant(run, layer, how);
    ownConstant(layer.graph, layer.node, layer.weightsAt).constant = constant;
  }
  try {
    return await work();
  } finally {
    restore(state);
  }
}

/** What a plan of weights alone makes of a layer's weights. */
export function quantizerOfPlan(weights: WeightsAlone) {
  return ({ node, weightsAt }: LinearLayer): LayerQuantizer | null => {
    const plan = planOf(node, weights);
    if (!plan || "float" in plan || !plan.quantizer || plan.perTensor) return null;
    const planned = plan.operands.find(({ index }) => index === weightsAt);
    if (!planned) return null;
    const { quantizer, blocks } = plan;
    const { axis, operand } = planned;
    return { quantizer, axis, layout: channelsAlong(operand.shape, axis), block: blocks?.size };
  };
}
