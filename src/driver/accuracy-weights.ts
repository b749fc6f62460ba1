/** What `--accuracy` does where weights alone are quantized (weights-alone.ts, quantize-weights): nothing is recorded for its ranges. */
import { Gathered } from "../accuracy/gathered.ts";
import type { LinearLayer } from "../accuracy/layers.ts";
import type { LayerQuantizer } from "../accuracy/round-layers.ts";
import { type AccuracySettings, changesWeights } from "../accuracy/settings.ts";
import { ownConstant } from "../graph/edit.ts";
import type { Context } from "../passes/context.ts";
import { fakeQuantized } from "../passes/transform/fake-quantize-weights.ts";
import { planOf, type WeightsAlone } from "../passes/transform/weights-plan.ts";
import { exportWorkspace } from "../passes/workspace.ts";
import { channelsAlong } from "../weights/constant.ts";
import { fillConstants } from "../weights/fill.ts";
import { Attempts, restore, stateOf } from "./accuracy-attempts.ts";
import { Trials } from "./accuracy-trials.ts";
import { correctBias, roundBySquares, valuesOf } from "./accuracy-work.ts";
import { recordSamples } from "./recording.ts";
import type { Run } from "./run.ts";
import type { QuantizeSettings, Settings } from "./settings.ts";
import { fedBy } from "./signatures.ts";

type Own = Run<Settings & Pick<QuantizeSettings, "samples" | "accuracy">>;

/** How weights of a layer are rounded. Blocks take their scales from their values, so these have to stay what they are. */
type How = LayerQuantizer & { readonly inBlocks?: boolean };
type HowOf = (layer: LinearLayer) => How | null;

/**
 * Runs samples for what layers read, and changes weights and biases. Where steps are tried, activations stay float in trials, as they do in the
 * result (hybrid kernels round them by what each sample shows). `quantizerOf`: what a layer's weights become; null where nothing does.
 */
export async function improveWeights(run: Own, quantizerOf: HowOf): Promise<void> {
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
  const howOf: HowOf = (layer) => {
    const how = quantizerOf(layer);
    return how?.inBlocks ? null : how;
  };
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
  const { context } = run.space;
  await roundBySquares(run, accuracy, howOf);
  if (!accuracy.biasCorrection || !run.settings.samples) return;
  for (const each of run.gathered!.layers) {
    const how = howOf(each.layer);
    const constant = how && roundedConstant(context, each.layer, how);
    if (constant?.kind === "fake" || constant?.kind === "dequantized")
      correctBias(run, each, values.get(each.layer)!, constant);
  }
}

/** What a layer's weights will be: chosen already, or to the nearest. */
function roundedConstant(context: Context, layer: LinearLayer, { layout, quantizer }: How) {
  const weights = layer.node.inputs[layer.weightsAt]!;
  const { constant, changes } = weights;
  return constant!.kind === "dequantized" && changes.length > 0
    ? constant
    : fakeQuantized(context, weights, layout, quantizer).constant;
}

/** Does something with a model whose weights are what they will be, and gives it its own back. */
async function withRounded<T>({ space, gathered }: Own, howOf: HowOf, work: () => Promise<T>): Promise<T> {
  const state = stateOf(gathered!.layers);
  for (const { layer } of gathered!.layers) {
    const how = howOf(layer);
    if (!how) continue;
    const constant = roundedConstant(space.context, layer, how);
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
