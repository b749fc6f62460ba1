/**
 * After quantization the dtypes of tensors without a range follow their operands, to a fixed point (§2.1, §10.4).
 *
 *     x: UINT8 ─▶ RESHAPE without a range: FLOAT32   →   RESHAPE: UINT8
 */
import { type Dtype, type Graph, type Node, postorder, resultsOf } from "../graph/graph.ts";
import { dtypeOption, option } from "../graph/options.ts";

/** `graphs` are all subgraphs of the model, which control flow refers to. */
export function inferDtypes(graph: Graph, graphs: readonly Graph[]): void {
  let changed = true;
  while (changed) {
    changed = false;
    for (const node of postorder(graph)) {
      for (const at of node.kind === "operator" ? [node, ...resultsOf(node)] : [node]) {
        const dtype = inferred(at, graphs);
        if (dtype === undefined || dtype === at.dtype) continue;
        at.dtype = dtype;
        changed = true;
      }
    }
  }
}

/** The dtype that a node gets from its operands; undefined where it keeps its own. */
export function inferred(node: Node, graphs: readonly Graph[]): Dtype | undefined {
  if (node.float || node.kind === "variable") return undefined;
  if (node.kind === "output") return node.inputs[0]?.dtype;
  const operator = node.kind === "result" ? node.inputs[0] : node;
  if (operator?.kind !== "operator") return undefined;
  const row = operator.row;
  const rule = row.dtype ?? { operand: 0 };
  if (rule === "own") return undefined;
  if ("results" in rule) return rule.results[node.resultIndex];
  if ("subgraph" in rule) {
    const called = graphs[Number(option(operator, rule.subgraph) ?? 0)];
    return called?.[rule.side === "inputs" ? "inputDtypes" : "outputDtypes"][node.resultIndex];
  }
  // Indices and counts (TOPK_V2, UNIQUE) keep their own dtype; where results follow an operand, all do.
  if (node.resultIndex > 0 && row.out.role !== "same") return undefined;
  if ("fixed" in rule) return rule.fixed;
  if ("option" in rule) return dtypeOption(operator, rule.option);
  return operator.inputs[rule.operand]?.dtype;
}
