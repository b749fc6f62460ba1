/**
 * EQUALIZATION: channels of a tensor that differ much in range share one scale, so the small ones are rounded coarsely. Where an operator's
 * weights can divide a channel by s and those behind it take s back, the float model computes the same and the ranges are even.
 * (Nagel et al., Data-Free Quantization, 2019, section 4.1; groups over residuals, pads and joins, and the choice by predicted noise, are ours.)
 *
 *     walk.ts        how channels hang together       groups.ts      what is chosen together
 *     statistics.ts  one run of the float model       noise.ts       what rounding adds, predicted
 *     scales.ts      the factors                      apply.ts       into weights and out again
 *     trial.ts       the model with rounding in it    accept.ts      which groups help on held-out samples
 */
import type { DataSet } from "../../calibration/dataset.ts";
import { type LookOptions, lookAtRecords } from "../../calibration/looks.ts";
import { judges } from "../../calibration/moments/moments.ts";
import type { Node } from "../../graph/graph.ts";
import { granularityOf, schemeOf, type Workspace } from "../../passes/context.ts";
import { isPlainFloat } from "../../passes/prepare/edit.ts";
import { exportWorkspace } from "../../passes/workspace.ts";
import type { Constant } from "../../weights/constant.ts";
import { isSmall } from "../outputs.ts";
import { type Accepted, acceptGroups, type Score } from "./accept.ts";
import { Equalized } from "./apply.ts";
import { type Channels, findGroups, type Group } from "./groups.ts";
import { type NoiseFacts, noiseFacts } from "./noise.ts";
import { type Chosen, chooseScales, HEADROOMS, leastFactors } from "./scales.ts";
import { type ChannelStatistics, channelStatistics, type Extremes, type Gathered } from "./statistics.ts";
import { isRounded, trialOf } from "./trial.ts";
import type { Weighing } from "./walk.ts";

export interface EqualizeOptions extends Pick<LookOptions, "workers" | "memoryLimit" | "fastMath" | "fill"> {
  /** Trials on held-out samples; 0 = all groups are kept. */
  readonly trials: number;
  /** Factor of ranges, by bits of activations (headroom); 1 without it. */
  readonly margin?: (bits: number) => number;
  onProgress?(what: string): LookOptions["onProgress"];
}

/** Samples that are tried, by their numbers among all. */
type HeldOut = DataSet & { readonly numbers: readonly number[] };

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
  const gathered = await channelStatistics(model, data, nodes[subgraph]!, (node) => sets.tensors.get(node), {
    ...running(options, "looking at channels"),
    subgraph,
    outputs,
  });
  if (!gathered) return null;
  try {
    return await equalizeWith(space, subgraph, channels, gathered, data, options);
  } finally {
    gathered.close();
  }
}

function running({ workers, memoryLimit, fastMath, fill, onProgress }: EqualizeOptions, what: string) {
  return { workers, memoryLimit, fastMath, fill, onProgress: onProgress?.(what) };
}

/** With statistics that are known: with the most headroom that helps. */
async function equalizeWith(
  space: Workspace,
  subgraph: number,
  channels: Channels,
  gathered: Gathered,
  data: DataSet,
  options: EqualizeOptions,
): Promise<EqualizedGraph> {
  const isTried = options.trials > 1 && gathered.judged.length > 0;
  const limited = channels.groups.some(({ limited }) => limited.length > 0);
  const headrooms = isTried && limited ? HEADROOMS : HEADROOMS.slice(0, 1);
  const facts = channels.groups.map((group) => factsOf(space, channels, group, gathered));
  const variantOf = (headroom: number): Variant => {
    const chosen = channels.groups.map((group, number) =>
      chooseScales(group, facts[number]!, leastFactors(group, channels.walked, gathered.all, headroom)),
    );
    const scales = chosen.map((each) => each.scales);
    const moved = channels.groups.flatMap(({ number }) => (scales[number]!.size > 0 ? [number] : []));
    return { chosen, moved, equalized: new Equalized(channels, scales, space.context.scanner) };
  };
  let best = variantOf(headrooms[0]!);
  let kept: ReadonlySet<number> = new Set(best.moved);
  let accepted: Accepted | undefined;
  if (isTried) {
    const held = heldOut(data);
    let trials = 0;
    const progress = (what: string) => options.onProgress?.(`${what} ${++trials}`);
    const measure = async ({ equalized, chosen }: Variant, groups: ReadonlySet<number>): Promise<Score> => {
      equalized.set(groups);
      const scales = chosen.map((each) => each.scales);
      const ranges = rangesWith(channels, gathered, scales, groups, space, options);
      const score = await scoreOf(space, subgraph, ranges, gathered, held, { ...options, onProgress: progress });
      equalized.set(new Set());
      return score;
    };
    ({ best, accepted } = await chooseVariant(
      best,
      headrooms.slice(1).map((headroom) => () => variantOf(headroom)),
      measure,
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

/** Factors with some headroom. */
interface Variant {
  readonly chosen: readonly Chosen[];
  /** Groups with factors other than 1. */
  readonly moved: readonly number[];
  readonly equalized: Equalized;
}

/** Most headroom first, with halves of the groups, too; where nothing of it helps, less headroom with all groups. */
async function chooseVariant(
  first: Variant,
  others: readonly (() => Variant)[],
  measure: (variant: Variant, groups: ReadonlySet<number>) => Promise<Score>,
  most: number,
): Promise<{ best: Variant; accepted: Accepted }> {
  const plain = await measure(first, new Set());
  let trials = 1;
  for (const make of [() => first, ...others]) {
    const variant = make();
    const trial = async (groups: ReadonlySet<number>): Promise<Score> => {
      if (groups.size === 0) return plain;
      trials++;
      return measure(variant, groups);
    };
    const accepted = await acceptGroups(variant.moved, trial, variant === first ? most : 2);
    if (accepted.groups.size > 0) return { best: variant, accepted: { ...accepted, trials } };
  }
  return { best: first, accepted: { groups: new Set(), before: plain, after: plain, trials } };
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

/** What the range of each tensor is when some groups have their factors: it follows from the ranges of its channels. */
function rangesWith(
  { walked, groups }: Channels,
  { fit }: Gathered,
  scales: readonly Chosen["scales"][],
  chosen: ReadonlySet<number>,
  { context }: Workspace,
  { margin }: EqualizeOptions,
): (node: Node) => { min: number; max: number } | undefined {
  const factors = new Map<number, number>();
  for (const { number } of groups)
    if (chosen.has(number)) for (const [root, factor] of scales[number]!) factors.set(root, factor);
  return (node) => {
    const known: ChannelStatistics | undefined = fit.get(node);
    const tensor = walked.sets.tensors.get(node);
    if (!known || !tensor || !isRounded(node)) return undefined;
    let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let c = 0; c < tensor.channels; c++) {
      const factor = factors.get(walked.sets.root(tensor.first + c)) ?? 1;
      min = Math.min(min, known.min[c]! / factor);
      max = Math.max(max, known.max[c]! / factor);
    }
    const by = margin?.(schemeOf(context, node).activation.bits) ?? 1;
    return { min: Math.min(min, min * by), max: Math.max(max, max * by) };
  };
}

/** Runs a trial on the held-out samples: SQNR of each output. */
async function scoreOf(
  space: Workspace,
  subgraph: number,
  rangeOf: (node: Node) => { min: number; max: number } | undefined,
  { judged }: Gathered,
  held: HeldOut,
  options: EqualizeOptions,
): Promise<Score> {
  const { model, outputs } = trialOf(space, subgraph, rangeOf);
  const of = new Map(outputs.map(({ node, tensor }) => [tensor, node]));
  const expected = new Map(judged.map((each) => [`${each.record} ${each.output.id}`, each]));
  const sums = new Map([...of.values()].map((node) => [node, { signal: 0, noise: 0 }]));
  const look = { channels: 0, inner: 1, whole: true };
  await lookAtRecords(model, held, {
    ...running(options, "trying"),
    ...(isSmall(model, subgraph) && { cut: "never" }),
    subgraph,
    looks: new Map([...of.keys()].map((tensor) => [tensor, look])),
    take(record, tensor, { values }) {
      const node = of.get(tensor)!;
      const wanted = expected.get(`${held.numbers[record]} ${node.id}`);
      if (!wanted || !values) return;
      const float = wanted.values();
      let [signal, noise] = [0, 0];
      for (let i = 0; i < float.length; i++) {
        signal += float[i]! * float[i]!;
        noise += (float[i]! - values[i]!) ** 2;
      }
      const sum = sums.get(node)!;
      sum.signal += signal;
      sum.noise += noise;
    },
  });
  return [...sums.values()].flatMap(({ signal, noise }) =>
    signal > 0 ? [noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(signal / noise)] : [],
  );
}

/** The records that judge, as samples of their own. */
function heldOut(data: DataSet): HeldOut {
  const numbers = judges(data.count);
  return {
    description: data.description,
    count: numbers.length,
    numbers,
    async *records() {
      let record = 0;
      for await (const inputs of data.records()) if (numbers.includes(record++)) yield inputs;
    },
    close() {},
  };
}
