/**
 * The steps of `--accuracy` on recorded graphs: rounding and biases. With `best` each is tried on samples that are held out, and undone where it
 * does not help; so it is where there are too few samples for that, but without steps that few samples do not bear.
 */

import type { OutputError } from "../accuracy/accept.ts";
import { FIRST } from "../accuracy/kept-records.ts";
import { type LinearLayer, weightsOf } from "../accuracy/layers.ts";
import type { LayerQuantizer } from "../accuracy/round-layers.ts";
import type { AccuracySettings } from "../accuracy/settings.ts";
import { type Context, granularityOf, schemeOf } from "../passes/context.ts";
import { axisProblem, weightLayout } from "../passes/minmax/own-values.ts";
import { roundWeights } from "../passes/transform/fake-quantize-weights.ts";
import type { Constant } from "../weights/constant.ts";
import { Attempts } from "./accuracy-attempts.ts";
import { guard } from "./accuracy-guard.ts";
import { correctSequentially } from "./accuracy-sequential.ts";
import { Trials } from "./accuracy-trials.ts";
import { correctBias, roundBySquares, valuesOf } from "./accuracy-work.ts";
import type { Phase, Run } from "./run.ts";
import type { QuantizeSettings } from "./settings.ts";

type Own = Run<QuantizeSettings>;

/** Rounds and corrects, with trials where that is asked for. `rest`: what comes between this phase and the file. */
export async function correctLayers(run: Own, rest: readonly Phase<QuantizeSettings>[]): Promise<void> {
  const { gathered, space } = run;
  const trials = gathered!.kept ? await Trials.begin(run, rest, gathered!.kept) : null;
  if (trials) {
    const attempts = new Attempts(run, trials);
    await tryAll(run, trials, attempts);
    await guard(run, trials, attempts);
  } else await roundAndCorrect(run, run.settings.accuracy!, valuesOf(gathered!.layers));
  space.context.scanner.throwProblems();
}

/** Rounds weights, by least squares or to the nearest, and corrects biases. */
async function roundAndCorrect(
  run: Own,
  accuracy: AccuracySettings,
  values: ReadonlyMap<LinearLayer, Constant>,
): Promise<void> {
  const { space, graphs, gathered } = run;
  const { context } = space;
  await roundBySquares(run, accuracy, (layer) => quantizerOf(context, layer));
  for (const graph of graphs) roundWeights(graph, context);
  if (!accuracy.biasCorrection) return;
  for (const each of gathered!.layers) {
    const { constant } = weightsOf(each.layer);
    if (constant.kind === "fake" || constant.kind === "dequantized")
      correctBias(run, each, values.get(each.layer)!, constant);
  }
}

/** Weights of so many bits have steps too small for a choice between two of them to matter. */
const FINE = 16;

/** How the scheme rounds a layer's weights; null where the nearest is good enough, and where they cannot be cut into channels, which is told later. */
function quantizerOf(context: Context, { node, weightsAt }: LinearLayer): LayerQuantizer | null {
  const role = node.row.in[weightsAt]!;
  const weights = node.inputs[weightsAt]!;
  if (role.role !== "weights" || axisProblem(weights, role)) return null;
  const granularity = granularityOf(context, node);
  const quantizer = schemeOf(context, node).weights[granularity];
  if (quantizer.bits >= FINE) return null;
  const layout = weightLayout(node, weights, role, granularity);
  return { quantizer, layout, axis: granularity === "channel" ? role.axis : 0 };
}

/** Steps one after the other. */
async function tryAll(run: Own, trials: Trials, attempts: Attempts): Promise<void> {
  const { layers } = run.gathered!;
  const values = valuesOf(layers);
  const accuracy = run.settings.accuracy!;
  const chooses = layers.some(({ layer }) => quantizerOf(run.space.context, layer) !== null);
  const rounding = chooses ? accuracy.rounding : "nearest";
  const ofWeights = () => trials.measureWeights();
  await roundAndCorrect(run, { ...accuracy, rounding: "nearest", biasCorrection: false }, values);
  await attempts.begin(ofWeights);
  await attempts.tryRounding({ ...accuracy, rounding }, ofWeights, (settings) =>
    roundAndCorrect(run, settings, values),
  );
  if (!accuracy.sequential) return;
  const quantized = await trials.quantized();
  try {
    const beginning = attempts.begin(() => trials.errorsOfModel(quantized, (record) => record < FIRST));
    // That is a Worker's, and the walk this thread's.
    if (!trials.areSideBySide) await beginning;
    let found: OutputError[] | null = null;
    await attempts.attempt(
      "sequential-correction",
      "biases corrected one after the other",
      async () => found!,
      async () => {
        [found] = await Promise.all([correctSequentially(run, trials, quantized, attempts.before, values), beginning]);
        return found !== null;
      },
    );
  } finally {
    quantized.close();
  }
}
