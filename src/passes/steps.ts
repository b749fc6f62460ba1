/** Running passes in order: what the pipelines (src/passes/minmax/index.ts, src/passes/onnx) are lists of. */

import { timed } from "../base/timings.ts";
import { describe, type Graph, type Node } from "../graph/graph.ts";
import type { QuantParam } from "../graph/quantparam.ts";
import type { Context, Pass } from "./context.ts";

export interface Step {
  readonly name: string;
  readonly run: Pass;
  /** Repeated until it changes nothing. */
  readonly repeat?: true;
  /** Why it stands where it stands. */
  readonly why: string;
}

/**
 * Runs steps on one graph in place. MINMAXQ_DEBUG=1 tells the time of each step, 2 also every node that it changed or made,
 * on stderr.
 */
export function runSteps(steps: readonly Step[], graph: Graph, context: Context): void {
  timed("passes", () => runAll(steps, graph, context));
}

function runAll(steps: readonly Step[], graph: Graph, context: Context): void {
  const debug = Number(process.env.MINMAXQ_DEBUG ?? 0);
  for (const { name, run, repeat, why } of steps) {
    const before = debug > 1 ? new Map(graph.nodes.map((node) => [node, stateOf(node)])) : null;
    const started = performance.now();
    let rounds = 0;
    let again: boolean;
    do {
      again = timed(name, () => run(graph, context)) === true && repeat === true;
      rounds++;
    } while (again);
    if (debug > 0) console.error(`${name}: ${(performance.now() - started).toFixed(1)} ms, ${rounds} round(s); ${why}`);
    if (before) tellChanges(graph, before);
  }
}

/** What passes change of a node, as one line. */
function stateOf(node: Node): string {
  const { quant } = node;
  const parameters = quant?.scale.length
    ? ` ${isPending(node) ? "scale pending zero point pending" : parametersOf(quant)}`
    : "";
  const range = quant?.min.length ? ` range ${quant.min[0]}…${quant.max[0]}` : "";
  return `${node.dtype}${parameters}${range} from [${node.inputs.map((operand) => operand?.name ?? "–").join(", ")}]`;
}

function parametersOf({ scale, zeroPoint }: QuantParam): string {
  return `scale ${scale[0]}${scale.length > 1 ? "…" : ""} zero point ${zeroPoint[0]}`;
}

/** Parameters that the weight stream finds come whenever they come, also while passes run. */
function isPending({ constant }: Node): boolean {
  return constant?.kind === "encoded" && ["scan", "bias"].includes(constant.encoding.rule);
}

function tellChanges(graph: Graph, before: ReadonlyMap<Node, string>): void {
  for (const node of graph.nodes) {
    const now = stateOf(node);
    const old = before.get(node);
    if (old !== now) console.error(`  ${describe(node)}: ${old ? `${old} → ` : "new "}${now}`);
  }
}
