/** The phase of `--equalize`: channels evened out between operators (src/accuracy/equalize), before ranges are recorded. */
import type { EqualizedGraph } from "../accuracy/equalize/index.ts";
import { marginOf } from "../accuracy/settings.ts";
import { counted } from "../base/text.ts";
import type { Note } from "../passes/context.ts";
import { fillConstants } from "../weights/fill.ts";
import { type OpenSamples, openAll } from "./recording.ts";
import type { Run } from "./run.ts";
import type { QuantizeSettings } from "./settings.ts";

/** Trials of one subgraph: nothing, everything, and two more. Each runs the trial samples; small models take longest to load. */
const TRIALS = 4;

/** Equalizes the subgraphs that have samples, one after the other. What was done is in notes, and in each tensor's changes. */
export async function equalizeChannels(run: Run<QuantizeSettings>): Promise<void> {
  const { space, settings, io, fed } = run;
  const samples = settings.samples!;
  const { equalizeGraph } = await import("../accuracy/equalize/index.ts");
  const { workers, memoryLimit, fastMath } = samples;
  const open: OpenSamples[] = [];
  try {
    await openAll(space.opened.model, samples, fed, open, io);
    for (const [number, { fed: each, data }] of open.entries()) {
      // A second signature of the same subgraph: its weights are even already.
      if (open.find(({ fed: { subgraph } }) => subgraph === each.subgraph)?.fed !== each) continue;
      const floatWeights = leavesWeights(run);
      const done = await equalizeGraph(space, each.subgraph, data, {
        workers,
        memoryLimit,
        fastMath,
        fill: fillConstants,
        trials: TRIALS,
        floatWeights,
        margin: (bits) => marginOf(settings.accuracy!, bits),
        onProgress: (what) => io.progress(what, "samples"),
      });
      space.context.notes.push(noteOf(done, each.subgraph, floatWeights));
      if (done) {
        run.judged.set(number, done.judged);
        run.atEnd(() => done.close());
      }
      if (done && done.kept.size > 0)
        run.unequalized.push({
          extremes: done.extremes,
          set: (equalized) => {
            done.equalized.set(equalized ? done.kept : new Set());
            done.equalized.explain(equalized ? done.kept : new Set());
          },
        });
    }
  } finally {
    for (const { data } of open) data.close();
  }
}

/**
 * Whether trials leave weights float: where they are as fine as activations, and least squares will round them, they lose so little in the end that
 * what nearest integers lose would decide for nothing (measured: pose_detection and hand_landmark_lite with 8 bits gain 1 to 2 dB over halves of the
 * photographs; with 16 bits of activations and 8 of weights it is the other way round).
 */
function leavesWeights({ settings: { accuracy }, options: { scheme, granularity } }: Run<QuantizeSettings>): boolean {
  const isFine = granularity === "channel" && scheme.weights.channel.bits >= scheme.activation.bits;
  return accuracy!.rounding === "gptq" && isFine;
}

function noteOf(done: EqualizedGraph | null, subgraph: number, floatWeights: boolean): Note {
  if (!done)
    return {
      kind: "note",
      code: "not-equalized",
      subgraph,
      text: "--equalize changed nothing: no channels lie between operators that could even them out, or sizes are known only when the model runs",
    };
  const { accepted, kept, chosen, covered, tensors } = done;
  const tried = accepted
    ? `; outputs of the trial samples, of which some set no ranges${floatWeights ? ", with float weights" : ""}: ${decibels(accepted.before)} became ${decibels(accepted.after)} (${counted(accepted.trials, "trial")})`
    : "; not tried, which takes 4 samples or more";
  return {
    kind: "note",
    code: "equalized",
    subgraph,
    text: `channels of ${covered} of ${tensors} tensors were evened out, in ${kept.size} of ${counted(chosen.length, "group")}${tried}`,
    numbers: { tensors: covered, of: tensors, groups: kept.size, found: chosen.length },
  };
}

function decibels(score: readonly number[]): string {
  return `${score.map((each) => each.toFixed(1)).join(", ")} dB`;
}
