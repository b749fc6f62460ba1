/** What samples say of channels: the float model is run once, and each channel's least and largest value and mean square are kept. */

import type { DataSet } from "../../calibration/dataset.ts";
import { KeptBytes } from "../../calibration/kept-bytes.ts";
import type { Look } from "../../calibration/look-observer.ts";
import { type LookOptions, lookAtRecords } from "../../calibration/looks.ts";
import { isHeldOut, judges } from "../../calibration/moments/moments.ts";
import type { Node } from "../../graph/graph.ts";
import type { Model } from "../../model/index.ts";

/** Of one tensor, a number for each channel. A channel that no sample showed has the range 0 to 0. */
export interface ChannelStatistics {
  readonly min: Float64Array;
  readonly max: Float64Array;
  readonly meanSquare: Float64Array;
}

/** Sums over records, in their order. */
class Sums {
  private readonly least: Float64Array;
  private readonly largest: Float64Array;
  private readonly squares: Float64Array;
  private count = 0;

  constructor(channels: number) {
    this.least = new Float64Array(channels).fill(Number.POSITIVE_INFINITY);
    this.largest = new Float64Array(channels).fill(Number.NEGATIVE_INFINITY);
    this.squares = new Float64Array(channels);
  }

  add(kept: Float64Array, count: number): void {
    for (let c = 0; c < this.least.length; c++) {
      if (kept[3 * c]! < this.least[c]!) this.least[c] = kept[3 * c]!;
      if (kept[3 * c + 1]! > this.largest[c]!) this.largest[c] = kept[3 * c + 1]!;
      this.squares[c]! += kept[3 * c + 2]!;
    }
    this.count += count;
  }

  get statistics(): ChannelStatistics {
    const finite = (value: number) => (Number.isFinite(value) ? value : 0);
    return {
      min: this.least.map(finite),
      max: this.largest.map(finite),
      meanSquare: this.squares.map((sum) => (this.count === 0 ? 0 : sum / this.count)),
    };
  }
}

/** Least and largest value of a tensor in each record; the counterpart of what ranges are reduced from (calibration/record.ts). */
export interface Extremes {
  readonly mins: number[];
  readonly maxs: number[];
}

/** What one run of the float model says. */
export interface Gathered {
  /** Of the records that are not held out. */
  readonly fit: ReadonlyMap<Node, ChannelStatistics>;
  /** Of all records. */
  readonly all: ReadonlyMap<Node, ChannelStatistics>;
  /** Of all float tensors, whether their channels are told apart or not. */
  readonly extremes: ReadonlyMap<Node, Extremes>;
  /** Values of an output in a record that choices are tried on; undefined where that is not known. */
  judged(record: number, output: Node): Float32Array | undefined;
  /** Whether it is known of any. */
  readonly isJudged: boolean;
  close(): void;
}

type Running = Pick<LookOptions, "subgraph" | "workers" | "memoryLimit" | "fastMath" | "onProgress" | "fill">;

/**
 * Statistics of a model's tensors. `nodes`: by tensor of the subgraph; `lookOf`: how a node's channels lie. Outputs' values are kept within
 * 64 MiB, more of them in a temporary file. Null where the model has to be run operator by operator. Throws a MinmaxqError.
 */
export async function channelStatistics(
  model: Model,
  data: DataSet,
  nodes: readonly Node[],
  lookOf: (node: Node) => Pick<Look, "channels" | "inner"> | undefined,
  options: Running & { readonly outputs?: ReadonlySet<Node> },
): Promise<Gathered | null> {
  const { outputs = new Set() } = options;
  const looks = new Map<number, Look>();
  for (const [tensor, node] of nodes.entries()) {
    const lies = lookOf(node) ?? (node.dtype === "FLOAT32" ? AS_ONE : undefined);
    const whole = outputs.has(node);
    if (lies || whole) looks.set(tensor, { channels: 0, inner: 1, ...lies, whole });
  }
  const folds = { fit: new Map<Node, Sums>(), all: new Map<Node, Sums>() };
  const kept = new KeptBytes();
  const judging = new Set(judges(data.count));
  /** By record and output. */
  const judged = new Map<string, () => Uint8Array>();
  const extremes = new Map<Node, Extremes>();
  const sumsOf = (fold: Map<Node, Sums>, node: Node, channels: number): Sums => {
    const known = fold.get(node) ?? new Sums(channels);
    fold.set(node, known);
    return known;
  };
  const run = await lookAtRecords(model, data, {
    ...options,
    looks,
    take(record, tensor, { channels, count, values }) {
      const node = nodes[tensor]!;
      const held = isHeldOut(record, data.count);
      const number = channels.length / 3;
      if (number > 0) addExtremes(extremes, node, channels);
      sumsOf(folds.all, node, number).add(channels, count);
      if (!held) sumsOf(folds.fit, node, number).add(channels, count);
      if (values && judging.has(record)) {
        const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
        judged.set(`${record} ${node.id}`, kept.add(bytes));
      }
    },
  });
  if (!run) {
    kept.close();
    return null;
  }
  const judgedOf = (record: number, { id }: Node) => {
    const bytes = judged.get(`${record} ${id}`)?.();
    return bytes && new Float32Array(bytes.slice().buffer);
  };
  const statistics = (fold: ReadonlyMap<Node, Sums>) =>
    new Map([...fold].map(([node, sums]) => [node, sums.statistics] as const));
  return {
    fit: statistics(folds.fit),
    all: statistics(folds.all),
    extremes,
    judged: judgedOf,
    isJudged: judged.size > 0,
    close: () => kept.close(),
  };
}

/** A tensor whose channels do not matter. */
const AS_ONE = { channels: 1, inner: 1 };

function addExtremes(extremes: Map<Node, Extremes>, node: Node, channels: Float64Array): void {
  const own = extremes.get(node) ?? { mins: [], maxs: [] };
  extremes.set(node, own);
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let at = 0; at < channels.length; at += 3) {
    min = Math.min(min, channels[at]!);
    max = Math.max(max, channels[at + 1]!);
  }
  own.mins.push(min);
  own.maxs.push(max);
}
