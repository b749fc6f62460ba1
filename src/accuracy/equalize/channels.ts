/** Channels of tensors as numbered nodes, joined where they must have the same factor. */
import type { Node } from "../../graph/graph.ts";

/** How a tensor's elements belong to channels: element i to channel ⌊i / inner⌋ mod channels. */
export interface ChannelTensor {
  readonly node: Node;
  readonly channels: number;
  readonly inner: number;
  /** Number of its first channel; the others follow. */
  readonly first: number;
}

/** Union-find over channels of all tensors of a graph. */
export class ChannelSets {
  private readonly parents: number[] = [];
  private readonly fixed: boolean[] = [];
  readonly tensors = new Map<Node, ChannelTensor>();

  /** A tensor's channels; along its last axis where nothing else was said before. */
  of(node: Node): ChannelTensor {
    return this.tensors.get(node) ?? this.add(node, node.shape.at(-1) ?? 1, 1);
  }

  /** Says how a tensor's channels lie. Once per tensor, before anything asks for it. */
  add(node: Node, channels: number, inner: number): ChannelTensor {
    const tensor = { node, channels, inner, first: this.parents.length };
    for (let c = 0; c < channels; c++) {
      this.parents.push(this.parents.length);
      this.fixed.push(false);
    }
    this.tensors.set(node, tensor);
    return tensor;
  }

  /** The number that stands for all channels that are joined with this one. */
  root(channel: number): number {
    let at = channel;
    while (this.parents[at] !== at) {
      this.parents[at] = this.parents[this.parents[at]!]!;
      at = this.parents[at]!;
    }
    return at;
  }

  join(a: number, b: number): void {
    const [one, other] = [this.root(a), this.root(b)];
    if (one === other) return;
    // The lower number stands for both, so that the order of calls does not show.
    const [low, high] = one < other ? [one, other] : [other, one];
    this.parents[high] = low;
    if (this.fixed[high]) this.fixed[low] = true;
  }

  /** Joins `count` channels of two tensors, from these on. */
  joinAll(a: ChannelTensor, from: number, b: ChannelTensor, to: number, count: number): void {
    for (let c = 0; c < count; c++) this.join(a.first + from + c, b.first + to + c);
  }

  /** The channel keeps the factor 1, and with it all that are joined with it. */
  fix(channel: number): void {
    this.fixed[this.root(channel)] = true;
  }

  fixTensor({ first, channels }: ChannelTensor): void {
    for (let c = 0; c < channels; c++) this.fix(first + c);
  }

  isFixed(channel: number): boolean {
    return this.fixed[this.root(channel)]!;
  }

  get size(): number {
    return this.parents.length;
  }
}

/** The axis along which a tensor's channels lie; undefined where they are several axes, or a part of one. */
export function axisOf({ node: { shape }, channels, inner }: ChannelTensor): number | undefined {
  let after = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (after === inner && shape[axis] === channels) return axis;
    after *= shape[axis]!;
  }
  return undefined;
}

/** The channels are the last axis. */
export function isLastAxis({ node: { shape }, channels, inner }: ChannelTensor): boolean {
  return inner === 1 && channels === (shape.at(-1) ?? 1);
}

/** Product of the dimensions behind an axis. */
export function behind(shape: readonly number[], axis: number): number {
  return shape.slice(axis + 1).reduce((a, b) => a * b, 1);
}
