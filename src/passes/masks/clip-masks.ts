/**
 * Masks and pads: values beyond everything useful are clipped to what their consumers can tell apart, in constants and in recorded
 * ranges. For `quantize` only; runs when ranges are known and before anything is quantized.
 *
 *     ADD(x: −5…5, c: 0 or −1e9) ─▶ SOFTMAX      →   c: 0 or −18.3, range of ADD: −13.3…5
 *
 * With −1e9 in it, one step of uint8 would be 4 million wide and nothing of x would be left. A range that records have passed over
 * (−FLT_MAX, §7.3) gets the clipped end, too: else what is masked would be as large as the smallest useful value.
 */
import { ownConstant } from "../../graph/edit.ts";
import { activeNodes, type Graph, isConstant, type Node } from "../../graph/graph.ts";
import { hasRange, quantParam } from "../../graph/quantparam.ts";
import { FLT_MAX } from "../../rules/arithmetic.ts";
import type { Constant } from "../../weights/constant.ts";
import { type Context, remark } from "../context.ts";
import { type Bounds, Consumers } from "./bounds.ts";
import { ENDLESS, Holdings, highest, type Intervals, lowest, MASK_RATIO, recordedOf } from "./intervals.ts";

/**
 * Clips masks in constants and ranges of a graph, and notes each tensor. `passedOver`: inputs with −FLT_MAX in a sample, which their
 * ranges say nothing of.
 */
export function clipMasks(graph: Graph, context: Context, passedOver: ReadonlySet<Node> = new Set()): void {
  const nodes = activeNodes(graph);
  const holdings = new Holdings(context, passedOver);
  const consumers = new Consumers(context, holdings, new Set(nodes));
  const operators = nodes.filter(({ kind }) => kind !== "constant");
  if (operators.length > DEEP) {
    // Each is asked behind those that it asks, so that no chain of operators is as deep as the stack. Not constants: that reads all weights.
    for (const node of operators) holdings.of(node);
    for (const node of operators.toReversed()) consumers.of(node);
  }
  // All is looked at before anything changes.
  const changes: (() => void)[] = [];
  for (const node of nodes) {
    changes.push(...ofConstants(graph, context, holdings, consumers, node));
    if (isConstant(node) || node.kind === "output" || node.dtype !== "FLOAT32" || !hasRange(node.quant)) continue;
    const bounds = consumers.of(node);
    if (isEndless(bounds)) continue;
    const held = holdings.of(node);
    const recorded = recordedOf(node);
    if (!held || !recorded) continue;
    const clip = clipped(held, [lowest(recorded), highest(recorded)], bounds);
    if (clip) changes.push(() => clipRange(context, node, clip));
  }
  for (const change of changes) change();
}

/** Operators of a graph that may be a chain too long to be followed from one end to the other. */
const DEEP = 2000;

/** Consumers tell all values apart. */
function isEndless({ floor, ceil }: Bounds): boolean {
  return floor === -Infinity && ceil === Infinity;
}

/** New ends of a tensor's values, and the lowest and highest that it had. */
interface Clip {
  readonly low: number;
  readonly high: number;
  readonly from: number;
  readonly to: number;
  readonly below: boolean;
  readonly above: boolean;
}

/** The ends that are left of `held` and a recorded range, or null where nothing is to be gained. */
function clipped(held: Intervals, recorded: readonly [number, number], { floor, ceil }: Bounds): Clip | null {
  const from = Math.min(lowest(held), recorded[0]);
  const to = Math.max(highest(held), recorded[1]);
  const below = isMask(from, Math.min(to, ceil), floor, held.length > 1 && held[0]![1] < floor);
  const above = isMask(-to, Math.min(-from, -floor), -ceil, held.length > 1 && held.at(-1)![0] > ceil);
  if (!below && !above) return null;
  // The other end is what was recorded; a point beyond the floor becomes the floor.
  const low = below ? Math.fround(floor) : recorded[0];
  const high = above ? Math.fround(ceil) : Math.max(recorded[1], below ? low : recorded[1]);
  return Number.isFinite(low) && Number.isFinite(high)
    ? { low: Math.min(low, high), high, from, to, below, above }
    : null;
}

/** Whether values from `low` on are clipped at `floor`: a mask apart from the rest that takes a bit or more, or one that takes nearly all. */
function isMask(low: number, high: number, floor: number, apart: boolean): boolean {
  if (!Number.isFinite(floor) || !(low < floor)) return false;
  if (low < -ENDLESS || high <= floor) return true;
  return high - low > (apart ? 2 : MASK_RATIO) * (high - floor);
}

function ofConstants(graph: Graph, context: Context, holdings: Holdings, consumers: Consumers, user: Node) {
  if (user.kind !== "operator" || user.float) return [];
  return user.inputs.flatMap((operand, index): (() => void)[] => {
    if (!isConstant(operand) || operand.dtype !== "FLOAT32") return [];
    const bounds = consumers.at(user, index);
    if (isEndless(bounds)) return [];
    const held = holdings.of(operand);
    if (!held) return [];
    const clip = clipped(held, [lowest(held), highest(held)], bounds);
    return clip ? [() => clipConstant(graph, context, user, index, clip)] : [];
  });
}

function clipConstant(graph: Graph, context: Context, user: Node, index: number, clip: Clip): void {
  const own = ownConstant(graph, user, index);
  const of = own.constant!;
  const limits = {
    low: clip.below ? Math.fround(clip.low) : -Infinity,
    high: clip.above ? Math.fround(clip.high) : Infinity,
  };
  own.constant = { kind: "clamped", of, ...limits, count: of.count, length: of.count * 4 } satisfies Constant;
  tell(context, own, clip);
}

function clipRange(context: Context, node: Node, clip: Clip): void {
  const { low, high } = clip;
  node.quant = quantParam({
    ...node.quant!,
    min: Float32Array.of(low),
    max: Float32Array.of(high),
    provenance: { from: "clipped mask", was: node.quant!.provenance },
  });
  tell(context, node, clip);
}

function tell(context: Context, node: Node, { low, high, from, to, below, above }: Clip): void {
  const what = [
    ...(below ? [`${text(from)} to ${text(low)}`] : []),
    ...(above ? [`${text(to)} to ${text(high)}`] : []),
  ];
  // JSON has no infinity; the largest float stands for it.
  const finite = (value: number) => Math.max(-FLT_MAX, Math.min(FLT_MAX, value));
  const numbers = { lowest: finite(from), highest: finite(to), low, high };
  remark(context, node, "mask-clipped", `mask clipped from ${what.join(", ")}`, numbers);
}

const text = (value: number): string =>
  Number.isFinite(value) ? String(Number(value.toPrecision(4))) : `${value}`.replace("Infinity", "∞");
