/**
 * Steps of `--accuracy` that are tried: each over the best so far, on samples that are held out, and undone where it does not help
 * (accuracy/accept.ts).
 */
import { gainsOf, isBetter, type OutputError, saidOf } from "../accuracy/accept.ts";
import type { GatheredLayer } from "../accuracy/gathered.ts";
import type { LinearLayer } from "../accuracy/layers.ts";
import type { AccuracySettings } from "../accuracy/settings.ts";
import { collectNear } from "../base/memory.ts";
import { type Node, setInput } from "../graph/graph.ts";
import type { Trials } from "./accuracy-trials.ts";
import type { Run } from "./run.ts";
import type { QuantizeSettings, Settings } from "./settings.ts";

/** What layers have in their slots, and how many slots these are: one without a bias may have none for it. */
export type State = readonly {
  readonly layer: LinearLayer;
  readonly weights: Node;
  readonly bias: Node | null;
  readonly slots: number;
}[];

export function stateOf(layers: readonly GatheredLayer[]): State {
  return layers.map(({ layer }) => {
    const { node, weightsAt, biasAt } = layer;
    const bias = (biasAt !== undefined && node.inputs[biasAt]) || null;
    return { layer, weights: node.inputs[weightsAt]!, bias, slots: node.inputs.length };
  });
}

export function restore(state: State): void {
  for (const { layer, weights, bias, slots } of state) {
    setInput(layer.node, layer.weightsAt, weights);
    if (layer.biasAt !== undefined && (bias || layer.node.inputs.length > layer.biasAt))
      setInput(layer.node, layer.biasAt, bias);
    layer.node.inputs.length = slots;
  }
}

export class Attempts {
  /** Weights and biases as they were before any step. */
  readonly before: State;
  private best: State;
  /** What outputs are off by with what is best so far. */
  private errors: OutputError[] = [];

  constructor(
    private readonly run: Run<Settings & Pick<QuantizeSettings, "samples">>,
    private readonly trials: Pick<Trials, "samples">,
  ) {
    this.before = stateOf(run.gathered!.layers);
    this.best = this.before;
  }

  /** What layers have now is what steps begin with. */
  async begin(measure: () => Promise<OutputError[]>): Promise<void> {
    this.best = stateOf(this.run.gathered!.layers);
    this.errors = await measure();
  }

  /**
   * Rounding and biases; `apply` does what settings say to layers as they were. Least squares leave the mean to the bias, so both are one step; biases
   * alone are tried where that does not help.
   */
  async tryRounding(
    accuracy: AccuracySettings,
    measure: () => Promise<OutputError[]>,
    apply: (accuracy: AccuracySettings) => Promise<void>,
  ): Promise<void> {
    const from = (settings: AccuracySettings) => {
      restore(this.before);
      return apply(settings);
    };
    const rounded =
      accuracy.rounding === "gptq" &&
      (await this.attempt("rounding", "weights rounded by least squares", measure, () => from(accuracy)));
    this.run.gathered!.forgetVectors();
    if (accuracy.biasCorrection && !rounded)
      await this.attempt("bias-correction", "biases corrected by input means", measure, () =>
        from({ ...accuracy, rounding: "nearest" }),
      );
  }

  /** Puts weights and biases as they were, or as the steps that helped have them. */
  put(which: "before" | "best"): void {
    restore(this[which]);
  }

  /** What the step before left behind counts where memory is limited. */
  private makeRoom(): void {
    collectNear(this.run.settings.samples!.memoryLimit);
  }

  /** Does the step, and looks whether outputs are off by less. A step that gives false does nothing. */
  async attempt(
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
