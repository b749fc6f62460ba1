/**
 * PREPARE, CONTINUED: what one-optimize does before quantization, for our own `quantize`; the drop-in fronts run none of it.
 *
 * The passes work on the float graph, before layers are chosen to stay float, weights are fake-quantized and ranges recorded. Each
 * can be switched off by its name (`--no-prepare NAME`). The always-on part (float16 and sparse constants) is src/passes/prepare/float-constants.ts.
 */

import { runSteps, type Step } from "../../base/steps.ts";
import type { Graph } from "../../graph/graph.ts";
import type { Workspace } from "../context.ts";
import { decomposeHardSwish } from "./decompose-hard-swish.ts";
import { decomposePrelu } from "./decompose-prelu.ts";
import { dequantizeWeights } from "./dequantize-weights.ts";
import { type Edit, tally } from "./edit.ts";
import { foldBatchNorm } from "./fold-batch-norm.ts";
import { foldConstants } from "./fold-constants.ts";
import { fuseActivation } from "./fuse-activation.ts";
import { globalPoolToMean } from "./global-pool-to-mean.ts";
import { inlineComposite } from "./inline-composite.ts";
import { reluToMul } from "./relu-to-mul.ts";
import { reshapeShape } from "./reshape-shape.ts";
import { staticShapes } from "./static-shapes.ts";
import { zeroBias } from "./zero-bias.ts";

export interface PreparePass {
  /** As `--no-prepare` takes it. */
  readonly name: string;
  /** Why it stands at its place. */
  readonly why: string;
  /** Runs only where the target or a person asks for it: it makes another model of the same function. */
  readonly onRequest?: true;
  readonly run: (graph: Graph, space: Workspace) => readonly Edit[] | Promise<readonly Edit[]>;
  /** What it did, as one phrase; there is at least one edit. */
  readonly tell: (edits: readonly Edit[]) => string;
}

export const PREPARE_PASSES: readonly PreparePass[] = [
  {
    name: "inline-composite",
    why: "first: all that follows works on the operators",
    onRequest: true,
    run: inlineComposite,
    tell: (edits) => `put decompositions in the place of ${tally(edits)}`,
  },
  {
    name: "static-shapes",
    why: "what follows from shapes can be folded then",
    onRequest: true,
    run: staticShapes,
    tell: (edits) => `fixed unknown dimensions of ${tally(edits)}`,
  },
  {
    name: "dequantize-weights",
    why: "weights of dynamic range models are floats for everything that follows",
    run: dequantizeWeights,
    tell: (edits) => `dequantized weights of ${tally(edits)}`,
  },
  {
    name: "fold-constants",
    why: "weights, biases and batch-norm factors are often computed from constants; then they are constants",
    run: foldConstants,
    tell: (edits) => `folded constants (${tally(edits)})`,
  },
  {
    name: "fold-batch-norm",
    why: "before activations are fused, which stand behind the batch-norm",
    run: foldBatchNorm,
    tell: (edits) => `folded ${tally(edits)}`,
  },
  {
    name: "fuse-activation",
    why: "what is still an operator of its own now is one in the result",
    run: fuseActivation,
    tell: (edits) => `fused ${tally(edits)}`,
  },
  {
    name: "decompose-prelu",
    why: "after activations are fused, so that its own stay as they are",
    onRequest: true,
    run: decomposePrelu,
    tell: (edits) => `decomposed ${tally(edits)}`,
  },
  {
    name: "decompose-hard-swish",
    why: "as decompose-prelu",
    onRequest: true,
    run: decomposeHardSwish,
    tell: (edits) => `decomposed ${tally(edits)}`,
  },
  {
    name: "relu-to-mul",
    why: "those that no operator carries",
    onRequest: true,
    run: reluToMul,
    tell: (edits) => `rewrote ${tally(edits)}`,
  },
  {
    name: "global-pool-to-mean",
    why: "needs static shapes",
    onRequest: true,
    run: globalPoolToMean,
    tell: (edits) => `rewrote ${tally(edits)}`,
  },
  {
    name: "reshape-shape",
    why: "after folding, which may leave a RESHAPE less",
    onRequest: true,
    run: reshapeShape,
    tell: (edits) => `shape operand for ${tally(edits)}`,
  },
  {
    name: "zero-bias",
    why: "folding gives some operators a bias of their own",
    run: zeroBias,
    tell: (edits) => `zero bias for ${tally(edits)}`,
  },
];

/** Names that `--no-prepare` takes; "all" switches everything off. */
export const PREPARE_NAMES: readonly string[] = [...PREPARE_PASSES.map(({ name }) => name), "all"];

/** Names that `--prepare` takes: steps that run on request only. */
export const REQUESTED_NAMES: readonly string[] = PREPARE_PASSES.flatMap(({ name, onRequest }) =>
  onRequest ? [name] : [],
);

/** What a step of the preparation did. */
export interface Prepared {
  readonly step: string;
  /** By subgraph. */
  readonly edits: readonly (Edit & { readonly subgraph: number })[];
  /** As one phrase: "fused 12 RELU". */
  readonly text: string;
}

/**
 * The steps that are not switched `off`, and of those on request what is `on`, for some graphs of a workspace; what they did is added to `done`. Layer settings must be in
 * the context by then: a layer that becomes part of another hands its own on.
 */
export function prepareSteps(
  space: Workspace,
  graphs: readonly Graph[],
  off: readonly string[],
  done: Prepared[],
  on: readonly string[] = [],
): Step<[]>[] {
  const isOff = (name: string) => off.includes("all") || off.includes(name);
  return stepsOf(
    PREPARE_PASSES.filter(({ name, onRequest }) => !isOff(name) && (!onRequest || on.includes(name))),
    space,
    graphs,
    done,
  );
}

function stepsOf(
  passes: readonly PreparePass[],
  space: Workspace,
  graphs: readonly Graph[],
  done: Prepared[],
): Step<[]>[] {
  return passes.map(({ name, why, run, tell }) => ({
    name,
    why,
    async run() {
      const edits: Prepared["edits"][number][] = [];
      for (const graph of graphs) {
        const subgraph = space.graphs.indexOf(graph);
        for (const edit of await run(graph, space)) edits.push({ ...edit, subgraph });
      }
      if (edits.length > 0) done.push({ step: name, edits, text: tell(edits) });
    },
  }));
}

/** Runs these steps and no others on all graphs (a target's, for what prepares nothing else); what they did is added to `done`. */
export async function runPrepareSteps(space: Workspace, names: readonly string[], done: Prepared[]): Promise<void> {
  const wanted = PREPARE_PASSES.filter(({ name }) => names.includes(name));
  await runSteps(stepsOf(wanted, space, space.graphs, done), []);
}
