/** Puts factors into weights, biases and constants of a graph, and takes them out again. */

import type { ValueChange } from "../../graph/changes.ts";
import { type Node, setInput } from "../../graph/graph.ts";
import { rangeOf } from "../../model/bytes.ts";
import { addConstant } from "../../passes/prepare/edit.ts";
import { type ChannelLayout, type Constant, channelsAlong, stored } from "../../weights/constant.ts";
import type { ConstantScanner } from "../../weights/scan.ts";
import type { ChannelTensor } from "./channels.ts";
import { type Channels, channelsOf, type Group } from "./groups.ts";
import type { Scales } from "./scales.ts";
import { type Beside, channelRead, type Weighing } from "./walk.ts";

/** An operand slot as it was, and what stands there while it has factors. */
interface Slot {
  readonly node: Node;
  readonly index: number;
  readonly original: Node;
  made?: Node;
  /** What factors are put on. */
  values?: Constant;
}

/** The factors of one graph. `set` says which groups have theirs; what has none is as it was, to the byte. */
export class Equalized {
  private readonly slots = new Map<string, Slot>();
  private readonly changed = new Map<Node, Node["changes"]>();

  constructor(
    readonly channels: Channels,
    /** By number of the group. */
    readonly scales: readonly Scales[],
    private readonly scanner: ConstantScanner,
  ) {}

  /** Gives the groups with these numbers their factors, and no others. */
  set(groups: ReadonlySet<number>): void {
    const { walked } = this.channels;
    const factors = new Map<number, number>();
    for (const group of groups) for (const [root, factor] of this.scales[group] ?? []) factors.set(root, factor);
    const factorsOf = (tensor: ChannelTensor | undefined) =>
      tensor ? channelsOf(tensor).map((channel) => factors.get(walked.sets.root(channel)) ?? 1) : [];
    for (const layer of walked.weighing) this.weigh(layer, factorsOf(layer.reads), factorsOf(layer.gives));
    for (const each of walked.beside) this.constant(each, factorsOf(each.tensor));
  }

  /** Says of tensors and constants what was done, for the groups that have their factors. */
  explain(groups: ReadonlySet<number>): void {
    for (const [node, changes] of this.changed) node.changes = changes;
    this.changed.clear();
    const { walked, groups: all } = this.channels;
    for (const group of all) {
      const scales = groups.has(group.number) ? this.scales[group.number]! : undefined;
      if (!scales || scales.size === 0) continue;
      const names = namesOf(group);
      for (const tensor of group.tensors) {
        const given = channelsOf(tensor).map((channel) => 1 / (scales.get(walked.sets.root(channel)) ?? 1));
        this.note(tensor.node, given, names);
      }
    }
    for (const { node, index, made, original } of this.slots.values()) {
      if (!made || node.inputs[index] !== made) continue;
      const factors = factorsIn(made.constant!, original.constant!);
      const own = all.filter(
        (group) =>
          groups.has(group.number) &&
          [...group.producers, ...group.consumers, ...group.beside].some((each) => each.node === node),
      );
      this.note(made, factors, [...new Set(own.flatMap(namesOf))]);
    }
  }

  private note(node: Node, factors: readonly number[], names: readonly string[]): void {
    const [least, most] = [Math.min(...factors), Math.max(...factors)];
    if (least === 1 && most === 1) return;
    if (!this.changed.has(node)) this.changed.set(node, node.changes);
    const change: ValueChange = { by: "equalization", with: names.filter((name) => name !== node.name), least, most };
    node.changes = [...node.changes, change];
  }

  private weigh(layer: Weighing, reads: readonly number[], gives: readonly number[]): void {
    const { node, rule, weightsAt, biasAt } = layer;
    const weights = this.slot(node, weightsAt);
    const { shape } = weights.original;
    const over = gives.map((factor) => 1 / factor);
    const by: [ChannelLayout, number[]][] = [];
    if (rule.inputs === "own") {
      const along = Array.from(
        { length: shape[rule.outputs]! },
        (_, o) => (reads[channelRead(layer, o)] ?? 1) * (over[o] ?? 1),
      );
      by.push([channelsAlong(shape, rule.outputs), along]);
    } else {
      by.push([channelsAlong(shape, rule.outputs), over]);
      const along = Array.from({ length: shape[rule.inputs]! }, (_, k) => reads[channelRead(layer, k)] ?? 1);
      by.push([channelsAlong(shape, rule.inputs), along]);
    }
    this.put(weights, shape, by);
    if (biasAt === undefined || !node.inputs[biasAt]) return;
    const bias = this.slot(node, biasAt);
    this.put(bias, bias.original.shape, [[{ outer: 1, channels: over.length, inner: 1 }, over]]);
  }

  /** A constant beside a tensor gets the factors of each of its channels; one value becomes a value for each. */
  private constant({ node, index, tensor }: Beside, factors: readonly number[]): void {
    const slot = this.slot(node, index);
    const over = factors.map((factor) => 1 / factor);
    const { original } = slot;
    if (original.constant!.count > 1 || tensor.channels === 1)
      return this.put(slot, original.shape, [[channelsAlong(original.shape, original.shape.length - 1), over]]);
    this.put(slot, [tensor.channels], [[{ outer: 1, channels: tensor.channels, inner: 1 }, over]], true);
  }

  private slot(node: Node, index: number): Slot {
    const key = `${node.id} ${index}`;
    const slot = this.slots.get(key) ?? { node, index, original: node.inputs[index]! };
    this.slots.set(key, slot);
    return slot;
  }

  /** Sparse values are laid out once: they are read several times, each time in pieces, and each piece would lay them out anew. */
  private laidOut(constant: Constant): Constant {
    if (!isSparse(constant)) return constant;
    return stored(rangeOf(new Uint8Array(this.scanner.unchecked(constant).buffer)), constant.count);
  }

  private put(slot: Slot, shape: readonly number[], by: [ChannelLayout, number[]][], spread = false): void {
    const { node, index, original } = slot;
    const wanted = by.filter(([, factors]) => factors.some((factor) => factor !== 1));
    if (wanted.length === 0) {
      if (node.inputs[index] !== original) setInput(node, index, original);
      return;
    }
    slot.values ??= this.laidOut(original.constant!);
    let constant: Constant = slot.values;
    if (spread) {
      const values = new Float32Array(shape[0]!).fill(this.scanner.unchecked(constant)[0]!);
      constant = stored(rangeOf(new Uint8Array(values.buffer)), values.length);
    }
    for (const [layout, factors] of wanted) {
      const { count, length } = constant;
      constant = { kind: "scaled", of: constant, layout, factor: Float32Array.from(factors), count, length };
    }
    slot.made ??= addConstant(this.channels.graph, original.name, "FLOAT32", shape, constant);
    slot.made.constant = constant;
    if (node.inputs[index] !== slot.made) setInput(node, index, slot.made);
  }
}

function isSparse(constant: Constant): boolean {
  return constant.kind === "dense" || ("of" in constant && isSparse(constant.of));
}

/** Operators of a group, by the tensors that they yield. */
function namesOf({ producers, consumers }: Group): string[] {
  return [...new Set([...producers, ...consumers].map(({ node }) => node.name))];
}

/** Products of the least and of the largest factors on the way to the original. */
function factorsIn(constant: Constant, original: Constant): number[] {
  if (constant === original || constant.kind !== "scaled") return [1];
  const inner = factorsIn(constant.of, original);
  const own = [Math.min(...constant.factor), Math.max(...constant.factor)];
  return [Math.min(...inner) * own[0]!, Math.max(...inner) * own[1]!];
}
