/**
 * EQUALIZATION: channels of a tensor that differ much in range share one scale, so the small ones are rounded coarsely. Where an operator's
 * weights can divide a channel by s and those behind it take s back, the float model computes the same and the ranges are even.
 * (Nagel et al., Data-Free Quantization, 2019, section 4.1; groups over residuals, pads and joins, and the choice by predicted noise, are ours.)
 *
 *     walk.ts        how channels hang together       groups.ts      what is chosen together
 *     statistics.ts  one run of the float model       noise.ts       what rounding adds, predicted
 *     scales.ts      the factors                      apply.ts       into weights and out again
 *     trial.ts       the model with rounding in it    score.ts       what it yields on held-out samples
 *     accept.ts      which groups help there
 */
import type { DataSet } from "../../calibration/dataset.ts";
import type { Node } from "../../graph/graph.ts";
import { granularityOf, schemeOf, type Workspace } from "../../passes/context.ts";
import { isPlainFloat } from "../../passes/prepare/edit.ts";
import { exportWorkspace } from "../../passes/workspace.ts";
import type { Constant } from "../../weights/constant.ts";
import { KeptRecords } from "../kept-records.ts";
import { type Accepted, acceptGroups, type Score } from "./accept.ts";
import { Equalized } from "./apply.ts";
import { type Channels, findGroups, type Group } from "./groups.ts";
import { type NoiseFacts, noiseFacts } from "./noise.ts";
import { type Chosen, chooseScales, HEADROOMS, leastFactors } from "./scales.ts";
import { type ScoreOptions, Scorer, type Variant } from "./score.ts";
import { channelStatistics, type Extremes, type Gathered } from "./statistics.ts";
import type { Weighing } from "./walk.ts";

export interface EqualizeOptions extends ScoreOptions {
  /** Trials on held-out samples; 0 = all groups are kept. */
  readonly trials: number;
}

/** What was done to one graph. */
export interface EqualizedGraph {
  readonly equalized: Equalized;
  readonly channels: Channels;
  readonly chosen: readonly Chosen[];
  /** Absent where nothing was tried. */
  readonly accepted?: Accepted;
  /** Groups that have their factors. */
  readonly kept: ReadonlySet<number>;
  /** Of each float tensor before it had factors. */
  readonly extremes: ReadonlyMap<Node, Extremes>;
  /** What the float model yields for a sample that judges: the values of an output, by their numbers; undefined where that is not known. */
  judged(record: number, output: number): Float32Array | undefined;
  /** Lets go what `judged` reads. */
  close(): void;
  /** How many float tensors have factors, of all. */
  readonly covered: number;
  readonly tensors: number;
}

/** Equalizes a subgraph on samples. Null where the model has to be run operator by operator, or has no group. Throws a MinmaxqError. */
export async function equalizeGraph(
  space: Workspace,
  subgraph: number,
  data: DataSet,
  options: EqualizeOptions,
): Promise<EqualizedGraph | null> {
  const graph = space.graphs[subgraph]!;
  const { scanner } = space.context;
  const channels = findGroups(graph, scanner);
  if (channels.groups.length === 0) return null;
  const { model, nodes } = exportWorkspace(space);
  const outputs = new Set(Array.from(model.subgraphs![subgraph]!.outputs ?? [], (tensor) => nodes[subgraph]![tensor]!));
  const { sets } = channels.walked;
  const { workers, memoryLimit, fastMath, fill, onProgress } = options;
  const kept = new KeptRecords(memoryLimit);
  const gathered = await channelStatistics(
    model,
    kept.watch(0, data),
    nodes[subgraph]!,
    (node) => sets.tensors.get(node),
    {
      ...{ workers, memoryLimit, fastMath, fill, subgraph, outputs },
      onProgress: onProgress?.("looking at channels"),
    },
  );
  if (!gathered) return null;
  try {
    const held = kept.of(0).filter(({ judges }) => judges);
    const scorer = new Scorer(space, subgraph, channels, gathered, held, options);
    const done = await equalizeWith(space, channels, gathered, scorer, options);
    const ofOutput = (output: number) => nodes[subgraph]![model.subgraphs![subgraph]!.outputs![output]!]!;
    return {
      ...done,
      judged: (record, output) => gathered.judged(record, ofOutput(output)),
      close: () => gathered.close(),
    };
  } catch (error) {
    gathered.close();
    throw error;
  }
}

/** With statistics that are known: with the most headroom that helps. */
async function equalizeWith(
  space: Workspace,
  channels: Channels,
  gathered: Gathered,
  scorer: Scorer,
  options: EqualizeOptions,
): Promise<Omit<EqualizedGraph, "judged" | "close">> {
  const isTried = options.trials > 1 && scorer.canScore;
  const limited = channels.groups.some(({ limited }) => limited.length > 0);
  const headrooms = isTried && limited ? HEADROOMS : HEADROOMS.slice(0, 1);
  const variantOf = (headroom: number): Variant => {
    // Facts of one group after the other: together they are as large as the weights.
    const chosen = channels.groups.map((group) => {
      const facts = factsOf(space, channels, group, gathered);
      return chooseScales(group, facts, leastFactors(group, channels.walked, gathered.all, headroom));
    });
    const scales = chosen.map((each) => each.scales);
    const moved = channels.groups.flatMap(({ number }) => (scales[number]!.size > 0 ? [number] : []));
    return { chosen, moved, equalized: new Equalized(channels, scales, space.context.scanner) };
  };
  let best = variantOf(headrooms[0]!);
  let kept: ReadonlySet<number> = new Set(best.moved);
  let accepted: Accepted | undefined;
  if (isTried) {
    ({ best, accepted } = await chooseVariant(
      best,
      headrooms.slice(1).map((headroom) => () => variantOf(headroom)),
      (variant, groups) => scorer.score(variant, groups),
      options.trials,
    ));
    kept = accepted.groups;
  }
  best.equalized.set(kept);
  best.equalized.explain(kept);
  const { chosen, equalized } = best;
  const covered = new Set(
    channels.groups.filter(({ number }) => kept.has(number)).flatMap(({ tensors }) => tensors.map(({ node }) => node)),
  );
  return {
    ...{ equalized, channels, chosen, accepted, kept, extremes: gathered.extremes },
    ...{ covered: covered.size, tensors: channels.tensors.length },
  };
}

/** Most headroom first, with halves of the groups, too; where nothing of it helps, less headroom with all groups. */
async function chooseVariant(
  first: Variant,
  others: readonly (() => Variant)[],
  measure: (variant: Variant, groups: ReadonlySet<number>) => Promise<Score>,
  most: number,
): Promise<{ best: Variant; accepted: Accepted }> {
  let plain: Score | undefined;
  let trials = 0;
  for (const make of [() => first, ...others]) {
    const variant = make();
    const trial = async (groups: ReadonlySet<number>): Promise<Score> => {
      if (groups.size === 0 && plain) return plain;
      trials++;
      const score = await measure(variant, groups);
      if (groups.size === 0) plain = score;
      return score;
    };
    const accepted = await acceptGroups(variant.moved, trial, variant === first ? most : 2);
    if (accepted.groups.size > 0) return { best: variant, accepted: { ...accepted, trials } };
  }
  return { best: first, accepted: { groups: new Set(), before: plain!, after: plain!, trials } };
}

/** What noise in a group is predicted from. */
function factsOf({ context }: Workspace, { walked }: Channels, group: Group, { fit }: Gathered): NoiseFacts {
  return noiseFacts(group, {
    walked,
    statistics: fit,
    weights: ({ node, weightsAt }) => context.scanner.unchecked(constantOf(node, weightsAt)),
    roundingOf(node) {
      const { symmetric, low, high } = schemeOf(context, node).activation;
      return { levels: high - low, symmetric };
    },
    weightRoundingOf({ node }: Weighing) {
      const granularity = granularityOf(context, node);
      const { symmetric, low, high } = schemeOf(context, node).weights[granularity];
      return { levels: symmetric ? high : (high - low) / 2, perChannel: granularity === "channel" };
    },
  });
}

function constantOf(node: Node, index: number): Constant {
  const constant = node.inputs[index];
  if (!isPlainFloat(constant)) throw new Error(`operand ${index} of "${node.name}" is no constant`);
  return constant.constant;
}
