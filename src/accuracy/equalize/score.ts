/** Scores of trials: what outputs of the model with rounding in it are, beside those of the float model, on samples that judge. */
import { type LookOptions, lookAtRecords } from "../../calibration/looks.ts";
import type { Node } from "../../graph/graph.ts";
import { schemeOf, type Workspace } from "../../passes/context.ts";
import { exportWorkspace } from "../../passes/workspace.ts";
import { squaredDistance } from "../accept.ts";
import { dataOf, type KeptRecord } from "../kept-records.ts";
import { areSideBySide, isSmall } from "../outputs.ts";
import type { Score } from "./accept.ts";
import type { Equalized } from "./apply.ts";
import type { Channels } from "./groups.ts";
import type { Chosen } from "./scales.ts";
import type { ChannelStatistics, Gathered } from "./statistics.ts";
import { isRounded, type Trial, trialOf } from "./trial.ts";

/** Factors with some headroom. */
export interface Variant {
  readonly chosen: readonly Chosen[];
  /** Groups with factors other than 1. */
  readonly moved: readonly number[];
  readonly equalized: Equalized;
}

export interface ScoreOptions extends Pick<LookOptions, "workers" | "memoryLimit" | "fastMath" | "fill"> {
  /** Factor of ranges, by bits of activations (headroom); 1 without it. */
  readonly margin?: (bits: number) => number;
  /** Weights are not rounded: what least squares win back of them is not to be won by factors. */
  readonly floatWeights?: boolean;
  onProgress?(what: string): LookOptions["onProgress"];
}

export class Scorer {
  private readonly progress: LookOptions["onProgress"];
  /** Memory is not limited, and the model is small: then it is run in one piece. */
  private readonly isWhole: boolean;
  /** Of each trial, which share of its records is done. */
  private readonly shares: number[] = [];
  private last: Promise<unknown> = Promise.resolve();

  /** `held`: the samples that judge. */
  constructor(
    private readonly space: Workspace,
    private readonly subgraph: number,
    private readonly channels: Channels,
    private readonly gathered: Gathered,
    private readonly held: readonly KeptRecord[],
    private readonly options: ScoreOptions,
  ) {
    this.isWhole = options.memoryLimit === undefined && isSmall(exportWorkspace(space).model, subgraph);
    this.progress = options.onProgress?.("trying channels");
  }

  get canScore(): boolean {
    return this.held.length > 0 && this.gathered.isJudged;
  }

  /**
   * SQNR of each output when some groups have their factors. Scores that are asked for together are found side by side where the model is small
   * and memory is not limited: each in a Worker of its own.
   */
  score(variant: Variant, groups: ReadonlySet<number>): Promise<Score> {
    const score =
      this.isWhole && areSideBySide(this.options)
        ? this.run(this.trialOf(variant, groups), 1)
        : this.last.then(() => this.run(this.trialOf(variant, groups), this.options.workers));
    this.last = score;
    return score;
  }

  private tell(trial: number, share: number): void {
    this.shares[trial] = share;
    const done = this.shares.reduce((sum, each) => sum + each, 0);
    this.progress?.(Math.floor(done * this.held.length), this.shares.length * this.held.length);
  }

  /** The graph is as it was afterwards. */
  private trialOf({ equalized, chosen }: Variant, groups: ReadonlySet<number>): Trial {
    equalized.set(groups);
    const scales = chosen.map((each) => each.scales);
    const ranges = rangesWith(this.channels, this.gathered, scales, groups, this.space, this.options);
    const trial = trialOf(this.space, this.subgraph, ranges, this.options.floatWeights);
    equalized.set(new Set());
    return trial;
  }

  private async run({ model, outputs }: Trial, workers: number | undefined): Promise<Score> {
    const { held, subgraph, gathered, options } = this;
    const of = new Map(outputs.map(({ node, tensor }) => [tensor, node]));
    const sums = new Map([...of.values()].map((node) => [node, { signal: 0, noise: 0 }]));
    const look = { channels: 0, inner: 1, whole: true };
    const trial = this.shares.push(0) - 1;
    await lookAtRecords(model, dataOf(held, "trial samples"), {
      ...{ workers, memoryLimit: options.memoryLimit, fastMath: options.fastMath, fill: options.fill, subgraph },
      ...(this.isWhole && { cut: "never" }),
      onProgress: (done, total) => this.tell(trial, done / total),
      looks: new Map([...of.keys()].map((tensor) => [tensor, look])),
      take(record, tensor, { values }) {
        const node = of.get(tensor)!;
        const float = gathered.judged(held[record]!.record, node);
        if (!float || !values) return;
        const sum = sums.get(node)!;
        sum.signal += squaredDistance(float);
        sum.noise += squaredDistance(float, values);
      },
    });
    return [...sums.values()].flatMap(({ signal, noise }) =>
      signal > 0 ? [noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(signal / noise)] : [],
    );
  }
}

/** What the range of each tensor is when some groups have their factors: it follows from the ranges of its channels. */
function rangesWith(
  { walked, groups }: Channels,
  { fit }: Gathered,
  scales: readonly Chosen["scales"][],
  chosen: ReadonlySet<number>,
  { context }: Workspace,
  { margin }: ScoreOptions,
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
