/**
 * Phases that win accuracy back (src/accuracy), as rows: none of them runs unless it is asked for, and what they do is loaded then. Most runs
 * record nothing, and what runs models is a third of the program.
 */
import { type AccuracySettings, needsMoments, undoneSettings } from "../accuracy/settings.ts";
import type { Phase, Run } from "./run.ts";
import type { QuantizeSettings, Settings, TransformSettings } from "./settings.ts";

type Own = Run<QuantizeSettings>;

const work = () => import("./accuracy-work.ts");

/** Whether something is to be known of what layers read, which samples tell. */
export function gathersMoments({ settings }: Own): boolean {
  const { accuracy, samples } = settings;
  return accuracy !== undefined && samples !== undefined && needsMoments(accuracy);
}

/** What `--accuracy` still does. */
function accuracyOf({ settings: { accuracy }, undone }: Own): AccuracySettings | undefined {
  return accuracy && undone ? undoneSettings(accuracy) : accuracy;
}

/** Whether recorded ranges get headroom. */
function hasMargin(run: Own): boolean {
  const accuracy = accuracyOf(run);
  return accuracy !== undefined && (accuracy.margin ?? accuracy.margin16) !== 1;
}

/** With `best`: 16 bits for everything, where uneven channels cost less than any limit that factors bring nearer. A person who asks for --equalize gets it. */
function isFine({ settings: { accuracy }, options: { scheme, granularity } }: Own): boolean {
  return accuracy!.accept && scheme.activation.bits >= 16 && scheme.weights[granularity].bits >= 16;
}

/** Whether there is anything to do where weights alone are quantized: without samples scales alone can be chosen better. */
export function improvesWeights({
  settings: { accuracy, samples },
}: Run<Settings & Pick<QuantizeSettings, "samples" | "accuracy">>): boolean {
  return accuracy !== undefined && (samples ? needsMoments(accuracy) : accuracy.smallerScales);
}

export const EQUALIZE: Phase<QuantizeSettings> = {
  name: "equalize",
  span: "record",
  when: (run) => run.settings.accuracy?.equalize === true && run.settings.samples !== undefined && !isFine(run),
  why: "it changes weights and what is measured, so before weights are rounded, and ranges and moments recorded",
  run: async (run) => (await import("./equalize-phase.ts")).equalizeChannels(run),
};
export const BEGIN_MOMENTS: Phase<QuantizeSettings> = {
  name: "begin moments",
  when: ({ settings: { accuracy } }) => accuracy !== undefined && needsMoments(accuracy),
  why: "what layers read is that of the float model, so that its weights are not rounded yet",
  run: async (run) => (await work()).beginMoments(run),
};
export const WIDEN_RANGES: Phase<QuantizeSettings> = {
  name: "widen ranges",
  when: hasMargin,
  why: "headroom for inputs unlike the samples; behind masks, whose ends are no accident",
  run: async (run) => (await work()).widenAllRanges(run, accuracyOf(run)!),
};
/** `rest`: what comes between it and the file, for trials. */
export const correctLayers = (rest: readonly Phase<QuantizeSettings>[]): Phase<QuantizeSettings> => ({
  name: "correct layers",
  span: "passes",
  when: gathersMoments,
  why: "rounding and biases that keep the results of layers, now that it is known what they read",
  run: async (run) => (await import("./accuracy-steps.ts")).correctLayers(run, rest),
});
/** Before a change of graphs that quantizes weights. */
export const IMPROVE_WEIGHTS: Phase<TransformSettings> = {
  name: "improve weights",
  span: "record",
  when: improvesWeights,
  why: "what layers read decides how their weights are rounded, and what their biases take back",
  async run(run) {
    const { improveWeights } = await import("./accuracy-weights.ts");
    await improveWeights(run, (layer) => run.settings.quantizerOf?.(layer, run.space.context) ?? null);
  },
};
