/**
 * The steps of `--accuracy` on recorded graphs: rounding and biases. With `best` each is tried on samples that are held out, and undone where it
 * does not help; so it is where there are too few samples for that, but without steps that few samples do not bear.
 */

import { gainsOf, isBetter, type OutputError, saidOf } from "../accuracy/accept.ts";
import type { GatheredLayer } from "../accuracy/gathered.ts";
import { FIRST } from "../accuracy/kept-records.ts";
import { type LinearLayer, weightsOf } from "../accuracy/layers.ts";
import type { LayerQuantizer } from "../accuracy/round-layers.ts";
import type { AccuracySettings } from "../accuracy/settings.ts";
import { type Node, setInput } from "../graph/graph.ts";
import { type Context, granularityOf, schemeOf } from "../passes/context.ts";
import { axisProblem, weightLayout } from "../passes/minmax/own-values.ts";
import { roundWeights } from "../passes/transform/fake-quantize-weights.ts";
import type { Constant } from "../weights/constant.ts";
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
    const steps = new Steps(run, trials);
    await steps.tryAll();
    await guard(run, trials, steps);
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
      correctBias(context, each, values.get(each.layer)!, constant);
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

/** What layers have in their slots, and how many slots these are: one without a bias may have none for it. */
type State = readonly {
  readonly layer: LinearLayer;
  readonly weights: Node;
  readonly bias: Node | null;
  readonly slots: number;
}[];

function stateOf(layers: readonly GatheredLayer[]): State {
  return layers.map(({ layer }) => {
    const { node, weightsAt, biasAt } = layer;
    const bias = (biasAt !== undefined && node.inputs[biasAt]) || null;
    return { layer, weights: node.inputs[weightsAt]!, bias, slots: node.inputs.length };
  });
}

function restore(state: State): void {
  for (const { layer, weights, bias, slots } of state) {
    setInput(layer.node, layer.weightsAt, weights);
    if (layer.biasAt !== undefined && (bias || layer.node.inputs.length > layer.biasAt))
      setInput(layer.node, layer.biasAt, bias);
    layer.node.inputs.length = slots;
  }
}

/** Steps one after the other, each over the best so far. */
class Steps {
  private readonly values: Map<LinearLayer, Constant>;
  private readonly before: State;
  private best: State;
  private errors: OutputError[] = [];

  constructor(
    private readonly run: Own,
    private readonly trials: Trials,
  ) {
    const { layers } = run.gathered!;
    this.values = valuesOf(layers);
    this.before = stateOf(layers);
    this.best = this.before;
  }

  async tryAll(): Promise<void> {
    const { run, trials } = this;
    const accuracy = run.settings.accuracy!;
    const { biasCorrection, sequential } = accuracy;
    const { context } = run.space;
    const chooses = run.gathered!.layers.some(({ layer }) => quantizerOf(context, layer) !== null);
    const rounding = chooses ? accuracy.rounding : "nearest";
    const nearest: AccuracySettings = { ...accuracy, rounding: "nearest", biasCorrection: false };
    const ofWeights = () => trials.measureWeights();
    await roundAndCorrect(run, nearest, this.values);
    this.best = stateOf(run.gathered!.layers);
    this.errors = await ofWeights();
    // Least squares leave the mean to the bias, so both are one step; biases alone are tried where that does not help.
    const rounded =
      rounding === "gptq" &&
      (await this.attempt("rounding", "weights rounded by least squares", ofWeights, () => this.again(accuracy)));
    run.gathered!.forgetVectors();
    if (biasCorrection && !rounded)
      await this.attempt("bias-correction", "biases corrected by input means", ofWeights, () =>
        this.again({ ...nearest, biasCorrection }),
      );
    if (!sequential) return;
    this.errors = await trials.measure((record) => record < FIRST);
    let found: OutputError[] | null = null;
    await this.attempt(
      "sequential-correction",
      "biases corrected one after the other",
      async () => found!,
      async () => {
        found = await correctSequentially(run, trials, this.before, this.values);
        return found !== null;
      },
    );
  }

  /** What the step before left behind counts where memory is limited. */
  private makeRoom(): void {
    if (this.run.settings.samples!.memoryLimit !== undefined) Bun.gc(true);
  }

  /** Puts weights and biases as they were, or as the steps that helped have them. */
  put(which: "before" | "best"): void {
    restore(this[which]);
  }

  private async again(accuracy: AccuracySettings): Promise<void> {
    restore(this.before);
    await roundAndCorrect(this.run, accuracy, this.values);
  }

  private async attempt(
    code: string,
    what: string,
    measure: () => Promise<OutputError[]>,
    change: () => Promise<unknown>,
  ): Promise<boolean> {
    this.makeRoom();
    if ((await change()) === false) return false;
    this.makeRoom();
    const after = await measure();
    const helps = isBetter(this.errors, after);
    this.tell(code, what, this.errors, after, helps);
    if (helps) {
      this.best = stateOf(this.run.gathered!.layers);
      this.errors = after;
    } else restore(this.best);
    return helps;
  }

  private tell(
    code: string,
    what: string,
    before: readonly OutputError[],
    after: readonly OutputError[],
    helps: boolean,
  ): void {
    const gains = gainsOf(before, after);
    const { mean, least, text } = saidOf(gains);
    const { all, held } = this.trials.samples;
    const samples = held === all ? `${all} held-out samples` : `${all} samples, ${held} of them held out`;
    this.run.space.context.notes.push({
      kind: "note",
      code,
      text: `${what}: ${text}, on ${samples}; ${helps ? "kept" : "undone"}`,
      numbers: { mean, least, samples: all, held },
    });
  }
}
