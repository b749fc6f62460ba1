/**
 * The guard of `--accuracy best`: all steps together against the model that would be without them, each quantized with ranges of some samples
 * and measured on others (two folds). Where the samples do not say that it gains, the result is what it would be without `--accuracy`.
 *
 * Without that, a model whose channels are even already ends a few dB above or below by chance: ranges of eight photographs clip other photographs,
 * of which steps that are tried on the eight see nothing.
 */
import { type OutputError, saidOf } from "../accuracy/accept.ts";
import type { Extremes } from "../accuracy/equalize/statistics.ts";
import { foldsOf, type Verdict, verdictOf } from "../accuracy/guard.ts";
import { looksAtValues, reduce } from "../calibration/reduce.ts";
import type { Node } from "../graph/graph.ts";
import { hasRange } from "../graph/quantparam.ts";
import type { Quantized, Trials } from "./accuracy-trials.ts";
import { fakeWeights, recordInto } from "./own-phases.ts";
import type { Run } from "./run.ts";
import type { QuantizeSettings } from "./settings.ts";

type Own = Run<QuantizeSettings>;

/** What has steps: weights and biases of layers. */
interface Steps {
  put(which: "before" | "best"): void;
}

/** Undoes all steps where they do not gain. Samples for several signatures are not looked at. */
export async function guard(run: Own, trials: Trials, steps: Steps): Promise<void> {
  if (run.fed.length > 1) return;
  const [before, after]: [OutputError[][], OutputError[][]] = [[], []];
  const own = run.gathered!.extremes;
  const plain = run.unequalized[0]?.extremes ?? own;
  let verdict: Verdict | undefined;
  for (const fold of foldsOf(trials.records)) {
    const models: Quantized[] = [];
    try {
      models.push(await quantized(run, trials, own, fold, false));
      withoutSteps(run, steps);
      models.push(await quantized(run, trials, plain, fold, true));
      withSteps(run, steps);
      const [a, b] = await trials.errorsOfBoth([models[0]!, models[1]!], (record) => fold.has(record));
      after.push(a);
      before.push(b);
    } finally {
      for (const model of models) model.close();
    }
    verdict = verdictOf(before, after);
    if (verdict.isClear) break;
  }
  tell(run, verdict!);
  if (verdict!.isGain) return;
  withoutSteps(run, steps);
  run.undone = true;
  fakeWeights(run);
  await recordInto(run);
}

function tell(run: Own, { bound, gains, samples, isGain }: Verdict): void {
  const { mean, least, text } = saidOf(gains);
  run.space.context.notes.push({
    kind: "note",
    code: isGain ? "accuracy-kept" : "accuracy-undone",
    text: `all steps together: ${text}, on ${samples} samples with ranges of others; ${isGain ? "kept" : "that may be chance, so everything was undone: the result is that of --accuracy compat"}`,
    numbers: { mean, bound, least, samples },
  });
}

function withoutSteps(run: Own, steps: Steps): void {
  steps.put("before");
  for (const each of run.unequalized) each.set(false);
}

function withSteps(run: Own, steps: Steps): void {
  for (const each of run.unequalized) each.set(true);
  steps.put("best");
}

/** The model that the run would give with ranges of all records but those of a fold. */
async function quantized(
  run: Own,
  trials: Trials,
  extremes: ReadonlyMap<Node, Extremes>,
  fold: ReadonlySet<number>,
  undone: boolean,
): Promise<Quantized> {
  const saved = new Map<Node, Node["quant"]>();
  const { reduction } = run.settings.samples!;
  // What values lie between is not kept: those modes are held to least and largest values.
  const by = looksAtValues(reduction) ? ({ kind: "minmax" } as const) : reduction;
  const set = (node: Node, quant: Node["quant"]) => {
    if (!saved.has(node)) saved.set(node, node.quant);
    node.quant = quant;
  };
  const records = [...extremes.values()].reduce((most, { mins }) => Math.max(most, mins.length), 0);
  const others = (each: readonly number[]) => Float32Array.from(each.filter((_, record) => !fold.has(record)));
  for (const [node, { mins, maxs }] of extremes) {
    // What some record did not show keeps its range: whose the others are is not known.
    if (!hasRange(node.quant) || node.quant.min.length !== 1 || mins.length < records) continue;
    const { min, max } = reduce(others(mins), others(maxs), by);
    if (Number.isFinite(min) && Number.isFinite(max))
      set(node, { ...node.quant, min: Float32Array.of(min), max: Float32Array.of(max) });
  }
  for (const graph of run.graphs)
    for (const node of graph.outputs) if (!node.float) set(node, node.inputs[0]?.quant ?? null);
  try {
    return await trials.quantized(undone);
  } finally {
    for (const [node, quant] of saved) node.quant = quant;
  }
}
