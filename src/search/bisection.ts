/**
 * Mixed precision by bisection over depth, as ONE's circle-mpqsolver does it (§8.2): all operators up to a depth (or from one on) have the
 * high scheme, all others the low one. Halving finds the cut with the fewest operators on the high side whose error is below the target.
 *
 *     depth      1       2       3       4       5
 *     x ─▶ [ conv1 ─▶ conv2 ─▶ conv3 ]─▶ conv4 ─▶ y        front, cut 3: conv1 to conv3 are high
 *
 * What an error is, how a candidate is quantized and on which samples it runs is the caller's business (`error`).
 */
import { activeNodes, type Graph, type Node } from "../graph/graph.ts";

/** What has the high scheme: nothing, the whole model, or the operators that yield these tensors (names, each once). */
export type HighPart = "none" | "all" | readonly string[];

/** Which end of the model has the high scheme. */
export type HighEnd = "front" | "back";

export interface BisectionStep {
  readonly high: HighPart;
  /** Depth at which the model was cut; null for the two uniform models. */
  readonly cut: number | null;
  /** As measured by `error`. */
  readonly error: number;
}

export interface BisectionTask {
  /** The float model's graph; nothing in it is changed. */
  readonly graph: Graph;
  /** Measures a candidate: the smaller, the better; in any unit. Called once for each candidate, one after the other. */
  error(high: HighPart): Promise<number>;
  /**
   * What a candidate must be below: an error, or a share of the way from the high model's error (0) to the low one's (1).
   */
  readonly target: { readonly error: number } | { readonly ratio: number };
  /** Which end is high; asked only where neither uniform model will do. */
  highEnd(depths: Depths): HighEnd;
  /** Told of each candidate as it is measured; 0 is the whole high model, 1 the whole low one. */
  onStep?(step: BisectionStep, index: number): void | Promise<void>;
}

export interface BisectionResult extends BisectionStep {
  readonly target: number;
  /** Null where a uniform model was chosen before any cut. */
  readonly end: HighEnd | null;
  /** All that was measured, in order; the first two are the whole high and the whole low model. */
  readonly steps: readonly BisectionStep[];
}

/** Why the search cannot begin: the high scheme is worse than the low one. */
export class HighIsWorse extends Error {
  constructor(
    readonly high: number,
    readonly low: number,
  ) {
    super("the high scheme has a larger error than the low one");
  }
}

/** Depths of the nodes that depend on an input, outputs of the graph among them. */
export interface Depths {
  readonly of: ReadonlyMap<Node, number>;
  /** That of the inputs, 0; also where there are none. */
  readonly least: number;
  readonly most: number;
}

/** The longest way from any input over users, by node; inputs are 0, constants and what follows from them alone have none. */
export function depthsOf(graph: Graph): Depths {
  const depths = new Map<Node, number>();
  const seen = new Set<Node>();
  // Operands first, without recursion: models are deeper than the call stack.
  const open: { readonly node: Node; next: number }[] = [];
  for (const root of activeNodes(graph)) {
    if (seen.has(root)) continue;
    seen.add(root);
    open.push({ node: root, next: 0 });
    while (open.length > 0) {
      const top = open.at(-1)!;
      const { node } = top;
      if (top.next < node.inputs.length) {
        const operand = node.inputs[top.next++];
        if (operand && !seen.has(operand)) {
          seen.add(operand);
          open.push({ node: operand, next: 0 });
        }
        continue;
      }
      open.pop();
      if (node.kind === "input") {
        depths.set(node, 0);
        continue;
      }
      let deepest = -1;
      for (const operand of node.inputs) if (operand) deepest = Math.max(deepest, depths.get(operand) ?? -1);
      if (deepest >= 0) depths.set(node, deepest + 1);
    }
  }
  let most = 0;
  for (const depth of depths.values()) most = Math.max(most, depth);
  return { of: depths, least: 0, most };
}

/**
 * Names of the tensors on the high side of a cut, in the order of the graph, each once. Left out is what cannot have a dtype of its own
 * (no rule for Quantize operators at its borders) and what shares its name with another operator, because settings go by name: ONE's
 * tool ends there.
 */
export function highSide(graph: Graph, depths: Depths, cut: number, end: HighEnd): string[] {
  const nodes = activeNodes(graph).filter(({ kind }) => kind === "operator" || kind === "result");
  const operators = new Map<string, Set<Node>>();
  const operatorOf = (node: Node) => (node.kind === "result" ? node.inputs[0]! : node);
  for (const node of nodes) operators.set(node.name, (operators.get(node.name) ?? new Set()).add(operatorOf(node)));
  const names = nodes
    .filter((node) => {
      const depth = depths.of.get(node);
      const inside = depth !== undefined && (end === "front" ? depth <= cut : depth >= cut);
      return inside && node.row.mixed !== undefined && operators.get(node.name)!.size === 1;
    })
    .map(({ name }) => name);
  return [...new Set(names)];
}

/**
 * Bisects. Gives the high model where its error is not below the target, the low one where its error is not above it, else the last
 * cut whose error was below the target; the low model where none was. Throws HighIsWorse, and whatever `error` throws.
 */
export async function bisect(task: BisectionTask): Promise<BisectionResult> {
  const { graph } = task;
  const steps: BisectionStep[] = [];
  const measure = async (high: HighPart, cut: number | null): Promise<BisectionStep> => {
    const step: BisectionStep = { high, cut, error: await task.error(high) };
    await task.onStep?.(step, steps.length);
    steps.push(step);
    return step;
  };
  const high = await measure("all", null);
  const low = await measure("none", null);
  // Also where one of them is no number.
  if (!(high.error <= low.error)) throw new HighIsWorse(high.error, low.error);
  const target =
    "error" in task.target
      ? task.target.error
      : Math.fround(high.error + Math.fround(Math.fround(task.target.ratio) * Math.fround(low.error - high.error)));
  if (high.error >= target) return { ...high, target, end: null, steps };
  if (low.error <= target) return { ...low, target, end: null, steps };

  const depths = depthsOf(graph);
  const end = task.highEnd(depths);
  let [from, to] = [depths.least, depths.most];
  let last = -1;
  let best = low;
  for (;;) {
    const cut = Math.floor((from + to) / 2);
    if (cut === last) break;
    last = cut;
    // Halving may come back to a cut that it had left.
    const known = steps.find((step) => step.cut === cut);
    const step = known ?? (await measure(highSide(graph, depths, cut, end), cut));
    const good = step.error < target;
    if (good) best = step;
    // A good cut leaves the search on the side with fewer high operators.
    if (good === (end === "front")) to = cut;
    else from = cut;
  }
  return { ...best, target, end, steps };
}

/** Which half has the larger sum of errors by name, for `highEnd`; names without one count 0. Ties go to the back, as in ONE. */
export function worseEnd({ of, least, most }: Depths, errors: ReadonlyMap<string, number>): HighEnd {
  let [front, back] = [0, 0];
  for (const [node, depth] of of) {
    const error = errors.get(node.name) ?? 0;
    if (depth < (least + most) / 2) front += error;
    else back += error;
  }
  return front > back ? "front" : "back";
}
