/** Running passes on one graph: what the pipelines (src/passes/minmax, src/passes/onnx) are lists of. */
import { debugLevel, runSteps, type Step } from "../base/steps.ts";
import { timed } from "../base/timings.ts";
import { describe, type Graph, type Node } from "../graph/graph.ts";
import type { QuantParam } from "../graph/quantparam.ts";
import type { Context } from "./context.ts";

/** A pass with its place in a pipeline: changes the graph; `true` = it changed something. */
export type PassStep = Step<[Graph, Context]>;

/** Runs passes on one graph in place. `MINMAXQ_DEBUG=2` prints every node that each of them changed or made, on stderr. */
export function runPasses(steps: readonly PassStep[], graph: Graph, context: Context): void {
  const around = debugLevel() > 1 ? () => changesOf(graph) : undefined;
  timed("passes", () => runSteps(steps, [graph, context], { around }));
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

/** Remembers the graph's nodes; what is returned prints what became of them. */
function changesOf(graph: Graph): () => void {
  const before = new Map(graph.nodes.map((node) => [node, stateOf(node)]));
  return () => {
    for (const node of graph.nodes) {
      const now = stateOf(node);
      const old = before.get(node);
      if (old !== now) console.error(`  ${describe(node)}: ${old ? `${old} → ` : "new "}${now}`);
    }
  };
}
