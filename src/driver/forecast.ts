/**
 * What a run would come to: its flow without samples and without a file. Weights are not read; an activation that samples would measure gets a
 * made-up range, so the forecast's size is off where a range decides what stays float or gets an operator of its own.
 */
import { statSync } from "node:fs";
import { activeNodes } from "../graph/graph.ts";
import { quantParam } from "../graph/quantparam.ts";
import type { Note } from "../passes/context.ts";
import type { WeightsAlone } from "../passes/transform/weights-plan.ts";
import { exportWorkspace } from "../passes/workspace.ts";
import type { Io } from "./io.ts";
import { checkInput } from "./paths.ts";
import { OWN_FLOW } from "./quantize.ts";
import { countSamples } from "./recording.ts";
import { type Phase, Run, runPhases } from "./run.ts";
import type { QuantizeSettings } from "./settings.ts";
import { sizeOfWorkspace } from "./write.ts";

export interface Forecast {
  /** Bytes of the model and, about, of the result. */
  readonly bytes: readonly [number, number];
  /** Where ranges would come from; `none` are needed for weights alone. */
  readonly ranges: "samples" | "file" | "none";
  /** How many samples would run. */
  readonly samples?: number;
  /** What is known before samples run. */
  readonly notes: readonly Note[];
}

/** Within the domain of every function, so that nothing stays float for the sake of a range that is made up. */
const MADE_UP = [0.5, 1] as const;

/** In the place of what samples say. `count` hears how many they are. */
const makeUpRanges = (count: (samples: number) => void): Phase<QuantizeSettings> => ({
  name: "make up ranges",
  when: ({ settings }) => settings.samples !== undefined,
  why: "samples may take minutes; whether they fit is seen at once",
  async run({ space, graphs, settings, fed }) {
    count(await countSamples(exportWorkspace(space).model, settings.samples!, fed));
    for (const graph of graphs) {
      for (const node of activeNodes(graph))
        if (node.kind !== "constant" && node.dtype === "FLOAT32")
          node.quant = quantParam({
            min: Float32Array.of(MADE_UP[0]),
            max: Float32Array.of(MADE_UP[1]),
            provenance: { from: "recorded", how: "made up" },
          });
      for (const node of graph.outputs) if (!node.float) node.quant = node.inputs[0]?.quant ?? null;
    }
  },
});

/** Phases that are of no use without values. */
const WITH_SAMPLES = ["fake-quantize weights", "equalize", "begin moments", "correct layers", "improve weights"];

/** Phases of a flow that need neither samples nor a place for the result; ranges are made up. */
function withoutWork(flow: readonly Phase<never>[], ranges: Phase<never>): Phase<never>[] {
  return flow.flatMap((phase) => {
    if (phase.name === "record") return [ranges];
    return (phase.files && phase.name !== "open") || WITH_SAMPLES.includes(phase.name) ? [] : [phase];
  });
}

/** What `quantize` would do with these settings. Throws the MinmaxqError that it would throw before it writes. */
export async function forecast(
  settings: QuantizeSettings,
  io: Io,
  weights?: Omit<WeightsAlone, "tooLarge">,
): Promise<Forecast> {
  checkInput(settings.model);
  const flow = weights ? await flowOfWeights(weights) : OWN_FLOW;
  const run = new Run(settings, io);
  let samples: number | undefined;
  const ranges = makeUpRanges((count) => {
    samples = count;
  });
  return runPhases(withoutWork(flow as readonly Phase<never>[], ranges as Phase<never>) as never, run, () => ({
    bytes: [statSync(settings.model).size, sizeOfWorkspace(run.space, run.dialect)] as const,
    ...(samples !== undefined && { samples }),
    ranges: weights ? "none" : settings.samples ? "samples" : "file",
    notes: run.notes,
  }));
}

async function flowOfWeights(weights: Omit<WeightsAlone, "tooLarge">) {
  const { flowOf } = await import("./weights-alone.ts");
  return flowOf({ ...weights, tooLarge: new Set() }, { tooLarge: new Set(), done: [] });
}
