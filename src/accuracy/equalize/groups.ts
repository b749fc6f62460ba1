/**
 * Groups: tensors whose channels hang together, so that their factors are chosen, tried and undone together.
 *
 *     CONV_2D ─▶ a ─▶ PAD ─▶ b ─┐                a, b, c, d and e are one group: channel 3 of a is channel 3 of b, c and e.
 *     CONV_2D ─▶ c ─────────────┴ ADD ─▶ e ─▶ DEPTHWISE_CONV_2D ─▶ f     f begins another one.
 */
import type { Graph, Node } from "../../graph/graph.ts";
import type { ConstantScanner } from "../../weights/scan.ts";
import type { ChannelTensor } from "./channels.ts";
import { type Beside, type Limited, type Walked, type Weighing, walk } from "./walk.ts";

export interface Group {
  /** From 0, in the order of the graph. */
  readonly number: number;
  /** Tensors with at least one channel that may have a factor, in the order of the graph. */
  readonly tensors: readonly ChannelTensor[];
  /** Channels that stand for those joined with them, and may have a factor; sorted. */
  readonly roots: readonly number[];
  readonly producers: readonly Weighing[];
  readonly consumers: readonly Weighing[];
  readonly beside: readonly Beside[];
  readonly limited: readonly Limited[];
}

export interface Channels {
  readonly graph: Graph;
  readonly walked: Walked;
  readonly groups: readonly Group[];
  /** Float tensors of the graph, for what share groups cover. */
  readonly tensors: readonly Node[];
}

/** The groups of a graph that can be equalized: some operator gives them factors, and some takes them back. */
export function findGroups(graph: Graph, scanner: ConstantScanner): Channels {
  const walked = walk(graph, scanner);
  const { sets } = walked;
  const given = rootsOf(
    walked,
    walked.weighing.flatMap(({ gives }) => gives ?? []),
  );
  const read = rootsOf(
    walked,
    walked.weighing.flatMap(({ reads }) => reads ?? []),
  );
  // A channel that no operator gives a factor is zeros (of a PAD); one that none reads is of no use.
  const free = (channel: number) => {
    const root = sets.root(channel);
    return !sets.isFixed(root) && given.has(root) && read.has(root);
  };
  const tensors = [...sets.tensors.values()];
  const touched = tensors.filter((tensor) => channelsOf(tensor).some(free));
  const groups = components(touched, (tensor) =>
    channelsOf(tensor)
      .filter(free)
      .map((channel) => sets.root(channel)),
  ).map((members, number): Group => {
    const among = new Set(members);
    const isIn = (tensor: ChannelTensor | undefined) => tensor !== undefined && among.has(tensor);
    const roots = new Set(members.flatMap((each) => channelsOf(each).filter(free)).map((each) => sets.root(each)));
    return {
      number,
      tensors: members,
      roots: [...roots].sort((a, b) => a - b),
      producers: walked.weighing.filter(({ gives }) => isIn(gives)),
      consumers: walked.weighing.filter(({ reads }) => isIn(reads)),
      beside: walked.beside.filter(({ tensor }) => isIn(tensor)),
      limited: walked.limited.filter(({ tensor }) => isIn(tensor)),
    };
  });
  return { graph, walked, groups, tensors: tensors.map(({ node }) => node) };
}

export function channelsOf({ first, channels }: ChannelTensor): number[] {
  return Array.from({ length: channels }, (_, c) => first + c);
}

function rootsOf({ sets }: Walked, tensors: readonly ChannelTensor[]): Set<number> {
  return new Set(tensors.flatMap(channelsOf).map((channel) => sets.root(channel)));
}

/** Tensors that share a root, directly or by way of others; each list and all lists in the order of `tensors`. */
function components(
  tensors: readonly ChannelTensor[],
  roots: (tensor: ChannelTensor) => readonly number[],
): ChannelTensor[][] {
  const parents = tensors.map((_, i) => i);
  const find = (i: number): number => {
    let at = i;
    while (parents[at] !== at) at = parents[at]!;
    return at;
  };
  const owner = new Map<number, number>();
  for (const [i, tensor] of tensors.entries())
    for (const root of roots(tensor)) {
      const before = owner.get(root);
      if (before === undefined) owner.set(root, i);
      else {
        const [low, high] = [find(before), find(i)].sort((a, b) => a - b);
        parents[high!] = low!;
      }
    }
  const found = new Map<number, ChannelTensor[]>();
  for (const [i, tensor] of tensors.entries()) found.set(find(i), [...(found.get(find(i)) ?? []), tensor]);
  return [...found.values()];
}
