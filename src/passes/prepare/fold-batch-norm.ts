/**
 * Multiplications and additions by constants right after an operator with weights become part of its weights and bias: what is
 * left of a batch normalisation.
 *
 *     x ─▶ CONV_2D (w, b) ─▶ MUL m ─▶ ADD a   →   x ─▶ CONV_2D (w·m, b·m + a)
 *
 * One constant per channel, or one for all. Addition comes first or last, without a bias before too; c − y and y ÷ c are scale and shift
 * as well. A fused activation of the last operator is kept; one in between forbids folding.
 *
 * Arithmetic is float32, one rounding per step: weights f32(w·m), bias f32(f32(b·m) + a); y ÷ c is y·f32(1/c). So results differ
 * from the unfolded ones by some units in the last place of the accumulator's terms. The weights are a description (src/weights/constant.ts,
 * "scaled"), computed as they are streamed; others that read the same constant keep theirs.
 */

import { activeNodes, type Graph, type Node } from "../../graph/graph.ts";
import { fusedActivation, option } from "../../graph/options.ts";
import { rangeOf } from "../../model/bytes.ts";
import { type OperatorRow, operandsWith } from "../../rules/operators.ts";
import { type Constant, channelsAlong, stored, wholeTensor } from "../../weights/constant.ts";
import type { ConstantScanner } from "../../weights/scan.ts";
import type { Workspace } from "../context.ts";
import { addConstant, declaredShape, type Edit, isPlainFloat, isReadOnlyBy, mayMerge, merge } from "./edit.ts";
import { withActivation } from "./fuse-activation.ts";

export function foldBatchNorm(graph: Graph, { context }: Workspace): Edit[] {
  const edits: Edit[] = [];
  for (;;) {
    const before = edits.length;
    for (const last of activeNodes(graph)) {
      const found = findAffine(last, context.scanner);
      if (!found || !mayMerge(context, found.weighted.node, last)) continue;
      const into = fold(graph, last, found, context);
      edits.push({ op: last.op, into: into.op, tensor: into.name });
    }
    // Once more where operators are not in order of execution; usually the second round finds nothing.
    if (edits.length === before) return edits;
  }
}

/** An operator with weights whose result is read once: its operands' places and channels. */
interface Weighted {
  readonly node: Node;
  readonly weightsAt: number;
  readonly biasAt: number;
  readonly axis: number;
  readonly channels: number;
}

/** y·factor + shift; lists have one value or one per channel; absent means 1 and 0. */
interface Affine {
  readonly weighted: Weighted;
  readonly constant: Node;
  readonly factor?: Float32Array;
  readonly shift?: Float32Array;
}

function findAffine(last: Node, scanner: ConstantScanner): Affine | null {
  const { arithmetic } = last.row;
  if (last.kind !== "operator" || !arithmetic || last.inputs.length !== 2 || last.dtype !== "FLOAT32") return null;
  if (!canCarry(last)) return null;
  for (const side of [0, 1]) {
    const constant = last.inputs[1 - side];
    const weighted = asWeighted(last.inputs[side], last);
    if (!weighted || !isPlainFloat(constant) || !isPerChannel(constant, weighted.channels)) continue;
    if (!takesActivationOf(last, weighted.node)) continue;
    const values = scanner.unchecked(constant.constant);
    const affine = affineOf(arithmetic, side, values);
    const fits = (list: Float32Array | undefined, limit: number) => !list?.some((each) => !(Math.abs(each) < limit));
    if (affine && fits(affine.factor, Number.POSITIVE_INFINITY) && fits(affine.shift, MASK))
      return { weighted, constant, ...affine };
  }
  return null;
}

/** What shifts so far is a mask: in a bias nothing could tell it from useful values any more. */
const MASK = 1e8;

/** The constant on the other side of operand `side`, as factor and shift of that operand. */
function affineOf(
  arithmetic: NonNullable<OperatorRow["arithmetic"]>,
  side: number,
  values: Float32Array,
): Pick<Affine, "factor" | "shift"> | null {
  switch (arithmetic) {
    case "mul":
      return { factor: values };
    case "div":
      return side === 0 ? { factor: values.map((value) => 1 / value) } : null;
    case "add":
      return { shift: values };
    case "sub":
      return side === 0 ? { shift: values.map((value) => -value) } : { factor: Float32Array.of(-1), shift: values };
  }
}

/** Activation functions that operators with weights carry too. */
function canCarry(last: Node): boolean {
  return ["NONE", "RELU", "RELU6", "RELU_N1_TO_1"].includes(fusedActivation(last));
}

function takesActivationOf(last: Node, weighted: Node): boolean {
  return fusedActivation(last) === "NONE" || (weighted.row.takesRelu === true && Boolean(weighted.options?.value));
}

/** The operand, if it is a float operator with constant weights whose only reader is `last`, shape and channels fitting. */
function asWeighted(node: Node | null | undefined, last: Node): Weighted | null {
  if (node?.kind !== "operator" || node.dtype !== "FLOAT32" || fusedActivation(node) !== "NONE") return null;
  const row = node.row;
  const [weightsAt] = operandsWith(row, row.in.length, "weights");
  const [biasAt] = operandsWith(row, row.in.length, "bias");
  const role = row.in[weightsAt ?? -1];
  if (weightsAt === undefined || biasAt === undefined || role?.role !== "weights") return null;
  const weights = node.inputs[weightsAt];
  const bias = node.inputs[biasAt];
  // Weights in another order than their shape says (Circle's shuffled formats) have no channels along an axis.
  if (!isPlainFloat(weights) || Number(option(node, "weightsFormat") ?? 0) !== 0) return null;
  const channels = weights.shape[role.axis];
  if (channels === undefined || channels !== node.shape.at(-1)) return null;
  if (bias && (!isPlainFloat(bias) || bias.constant.count !== channels)) return null;
  if (!isReadOnlyBy(node, last) || !sameNumbers(declaredShape(node), declaredShape(last))) return null;
  return { node, weightsAt, biasAt, axis: role.axis, channels };
}

/** One value, or one per channel along the last axis. */
function isPerChannel({ shape, constant }: Node & { constant: Constant }, channels: number): boolean {
  return shape.slice(0, -1).every((dim) => dim === 1) && (constant.count === 1 || constant.count === channels);
}

function fold(graph: Graph, last: Node, { weighted, constant, factor, shift }: Affine, context: Workspace["context"]) {
  const { node, weightsAt, biasAt, axis, channels } = weighted;
  const inputs = [...node.inputs];
  const weights = inputs[weightsAt]!;
  if (factor) inputs[weightsAt] = scaledWeights(graph, weights, axis, factor);
  const bias = inputs[biasAt];
  if (bias || shift) {
    const old = bias ? context.scanner.unchecked(bias.constant!) : new Float32Array(channels);
    const values = old.map((value, c) => Math.fround(value * at(factor, c, 1)) + at(shift, c, 0));
    while (inputs.length < biasAt) inputs.push(null);
    const name = bias?.name ?? constant.name;
    const content = stored(rangeOf(new Uint8Array(values.buffer)), channels);
    inputs[biasAt] = addConstant(graph, name, "FLOAT32", [channels], content);
  }
  const fused = fusedActivation(last);
  const carried = fused === "NONE" ? node : withActivation(node, fused as "RELU");
  const since = bias || !shift ? 1 : (node.row.since?.bias ?? 1);
  const version = Math.max(carried.version, since);
  return merge(graph, context, node, last, { inputs, options: carried.options, version });
}

function scaledWeights(graph: Graph, weights: Node, axis: number, factor: Float32Array): Node {
  const of = weights.constant!;
  const layout = factor.length === 1 ? wholeTensor(of.count) : channelsAlong(weights.shape, axis);
  const constant: Constant = { kind: "scaled", of, layout, factor, count: of.count, length: of.count * 4 };
  return addConstant(graph, weights.name, "FLOAT32", weights.shape, constant);
}

/** A channel's value of a list that has one for all or one each. */
function at(list: Float32Array | undefined, channel: number, otherwise: number): number {
  return list ? list[list.length === 1 ? 0 : channel]! : otherwise;
}

function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((each, i) => each === b[i]);
}
