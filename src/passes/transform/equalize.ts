/**
 * ONE's feature map equalization (§8.3): channels of a tensor between two operators are made more alike, at the cost of the weights behind it.
 *
 *     x ─▶ [front: w, b] ─▶ t ─▶ RELU ─▶ [back: v] ─▶ y       most of |t| in channel i: aᵢ; most of |v| on channel i: mᵢ
 *     →    [front: w/s, b/s] ─▶ t/s ─▶ RELU ─▶ [back: v·s]     sᵢ = √aᵢ / √mᵢ, at least 1e-5, in float32
 */
import { Problems } from "../../base/errors.ts";
import { ownConstant } from "../../graph/edit.ts";
import { activeNodes, describe, type Graph, isConstant, type Node } from "../../graph/graph.ts";
import { fusedActivation } from "../../graph/options.ts";
import { EQUALIZABLE_ACTIVATIONS, EQUALIZATION } from "../../rules/equalization.ts";
import { type ChannelLayout, type Constant, channelsAlong } from "../../weights/constant.ts";
import type { Context } from "../context.ts";

const f32 = Math.fround;
/** The least positive normal float32: what the largest of no weight is taken for. */
const FLT_MIN = 2 ** -126;
const LEAST = f32(1e-5);
/** Operators between front and back at most. */
const MOST_BETWEEN = 2;

/** Two operators by the names of their results. */
export interface EqualizePattern {
  readonly front: string;
  readonly back: string;
}

/** A pattern with the largest size that each channel of the front's result takes on samples. */
export interface ProfiledPattern extends EqualizePattern {
  readonly peaks: Float32Array;
}

/** All pairs of operators whose channels can be scaled, in the order of the graph. */
export function equalizePatterns(graph: Graph): EqualizePattern[] {
  return activeNodes(graph).flatMap((front) => {
    const back = backOf(front);
    return back && problemOf(front, back) === null ? [{ front: front.name, back: back.name }] : [];
  });
}

/** Channels of a front's result. */
export function channelsOf(graph: Graph, { front }: EqualizePattern): number {
  return (
    activeNodes(graph)
      .find(({ name }) => name === front)
      ?.shape.at(-1) ?? 0
  );
}

/** Throws one MinmaxqError for all patterns that the graph does not have. */
export function checkPatterns(graph: Graph, patterns: readonly EqualizePattern[]): void {
  const problems = new Problems();
  const seen = new Set<string>();
  for (const pattern of patterns) {
    const found = nodesOf(graph, pattern);
    if (typeof found === "string") problems.add(found);
    else if (seen.has(pattern.front)) problems.add(`"${pattern.front}": is the front of two patterns; keep one`);
    seen.add(pattern.front);
  }
  problems.throwIfAny("patterns that do not fit the model");
}

/**
 * Scales the channels of all patterns in place; weights are not read but for their largest values, which are those before any change.
 * Throws a MinmaxqError for patterns that do not fit, and for peaks that are not one number a channel.
 */
export function equalize(graph: Graph, context: Context, patterns: readonly ProfiledPattern[]): void {
  checkPatterns(graph, patterns);
  const problems = new Problems();
  const work = patterns.flatMap((pattern) => {
    const [front, back] = nodesOf(graph, pattern) as [Node, Node];
    const { peaks } = pattern;
    const channels = front.shape.at(-1)!;
    if (peaks.length !== channels || !peaks.every((peak) => Number.isFinite(peak) && peak >= 0)) {
      problems.add(`"${pattern.front}": needs ${channels} finite sizes of its channels, got ${peaks.length} values`);
      return [];
    }
    return [{ front, back, scales: scalesOf(peaks, largestOf(back, channels, context)) }];
  });
  problems.throwIfAny("sizes of channels that do not fit the model");
  context.scanner.throwProblems();
  for (const { front, back, scales } of work) {
    const inverse = scales.map((scale) => 1 / scale);
    for (const { operand, axis } of EQUALIZATION[front.op]!.front!) {
      if (front.inputs[operand]) scale(graph, front, operand, axis, inverse);
    }
    const weights = EQUALIZATION[back.op]!.back!.weights;
    const each = perInput(back.inputs[weights]!, scales.length);
    scale(
      graph,
      back,
      weights,
      -1,
      Float32Array.from({ length: each.channels }, (_, i) => scales[each.inputOf(i)]!),
    );
  }
}

/** √a / √m of each channel in float32, at least 1e-5. */
export function scalesOf(peaks: Float32Array, largest: Float32Array): Float32Array {
  return peaks.map((peak, i) => Math.max(f32(f32(Math.sqrt(peak)) / f32(Math.sqrt(largest[i]!))), LEAST));
}

/** The nodes of a pattern, or why it has none. */
function nodesOf(graph: Graph, { front, back }: EqualizePattern): [Node, Node] | string {
  const found: Node[] = [];
  for (const name of [front, back]) {
    const nodes = activeNodes(graph).filter((node) => node.name === name && node.kind === "operator");
    if (nodes.length !== 1)
      return `"${name}": ${nodes.length === 0 ? "no operator yields a tensor called so" : "several tensors are called so"}; see the names with 'minmaxq inspect'`;
    found.push(nodes[0]!);
  }
  const [a, b] = found as [Node, Node];
  const reached = backOf(a);
  if (reached !== b) return `"${front}": its channels cannot be scaled on to "${back}"; leave the pattern out`;
  return problemOf(a, b) ?? [a, b];
}

/** The operator behind a front that takes its channels, past what hands a factor on. */
function backOf(front: Node): Node | null {
  if (front.kind !== "operator" || !EQUALIZATION[front.op]?.front || !isLinear(front)) return null;
  let at = front;
  for (let between = 0; ; between++) {
    const [user] = at.users;
    // One user, with the tensor as its data and as nothing else.
    if (at.users.size !== 1 || user!.kind !== "operator") return null;
    const facts = EQUALIZATION[user!.op];
    const reads = user!.inputs.flatMap((operand, i) => (operand === at ? [i] : []));
    if (facts?.back) return reads.join() === String(facts.back.input) ? user! : null;
    if (!facts?.between || reads.join() !== "0" || between === MOST_BETWEEN || !isLinear(user!)) return null;
    // A PAD of channels makes others of them.
    if (user!.shape.at(-1) !== at.shape.at(-1)) return null;
    at = user!;
  }
}

function isLinear(node: Node): boolean {
  return node.dtype === "FLOAT32" && EQUALIZABLE_ACTIVATIONS.includes(fusedActivation(node));
}

/** Why two operators cannot be scaled; null where they can. */
function problemOf(front: Node, back: Node): string | null {
  const channels = front.shape.at(-1);
  if (channels === undefined || channels < 1) return `${describe(front)}: has no channels`;
  for (const { operand, axis } of EQUALIZATION[front.op]!.front!) {
    const constant = front.inputs[operand];
    if (!constant && operand > 1) continue;
    if (!isFloatConstant(constant)) return `${describe(front)}: its weights or bias are no float32 constants`;
    if (constant.shape.at(axis) !== channels)
      return `${describe(front)}: its weights or bias do not have ${channels} channels`;
  }
  const weights = back.inputs[EQUALIZATION[back.op]!.back!.weights];
  if (!isFloatConstant(weights)) return `${describe(back)}: its weights are no float32 constant`;
  const last = weights.shape.at(-1)!;
  if (isDepthwise(back) ? last % channels !== 0 : last !== channels)
    return `${describe(back)}: its weights take ${last} channels, and "${front.name}" has ${channels}`;
  return null;
}

function isFloatConstant(node: Node | null | undefined): node is Node & { constant: Constant } {
  return isConstant(node) && node.dtype === "FLOAT32";
}

/** Whether channels of an operator's input are not summed: its weights' channels are those of its result. */
function isDepthwise(back: Node): boolean {
  const { operand, axis } = EQUALIZATION[back.op]!.front![0]!;
  return operand === EQUALIZATION[back.op]!.back!.weights && axis === back.inputs[operand]!.shape.length - 1;
}

/** Channels along the weights' last dimension, and which channel of the input each takes: several in a row take the same in DEPTHWISE_CONV_2D. */
function perInput(weights: Node, inputs: number): { channels: number; inputOf(channel: number): number } {
  const channels = weights.shape.at(-1)!;
  return { channels, inputOf: (channel) => Math.floor((channel * inputs) / channels) };
}

/** The largest size of the weights on each channel of the input. */
function largestOf(back: Node, inputs: number, { scanner }: Context): Float32Array {
  const weights = back.inputs[EQUALIZATION[back.op]!.back!.weights] as Node & { constant: Constant };
  const { min, max } = scanner.channelRanges(weights.name, weights.constant, layoutOf(weights, -1));
  const { inputOf } = perInput(weights, inputs);
  const largest = new Float32Array(inputs).fill(FLT_MIN);
  for (const [i, low] of min.entries())
    largest[inputOf(i)] = Math.max(largest[inputOf(i)]!, Math.abs(low), Math.abs(max[i]!));
  return largest;
}

function layoutOf({ shape }: Node, axis: number): ChannelLayout {
  return channelsAlong(shape, axis < 0 ? axis + shape.length : axis);
}

/** Multiplies an operand's channels; other users of the constant keep what they had. */
function scale(graph: Graph, user: Node, operand: number, axis: number, factor: Float32Array): void {
  const own = user.inputs[operand]!.users.size > 1 ? ownConstant(graph, user, operand) : user.inputs[operand]!;
  const of = own.constant!;
  const layout = layoutOf(own, axis);
  own.constant = { kind: "scaled", of, layout, factor: Float32Array.from(factor), count: of.count, length: of.length };
}
