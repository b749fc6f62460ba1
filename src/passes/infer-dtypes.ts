/**
 * After quantization the dtypes of tensors without a range follow their operands, to a fixed point (§2.1, §10.4).
 *
 *     x: UINT8 ─▶ RESHAPE without a range: FLOAT32   →   RESHAPE: UINT8
 */
import { type Dtype, type Graph, type Node, postorder, resultsOf } from "../graph/graph.ts";
import { dtypeOption } from "../graph/options.ts";
import { rowOf } from "../operators.ts";

export function inferDtypes(graph: Graph): void {
  let changed = true;
  while (changed) {
    changed = false;
    for (const node of postorder(graph)) {
      for (const at of node.kind === "operator" ? [node, ...resultsOf(node)] : [node]) {
        const dtype = inferred(at);
        if (dtype === undefined || dtype === at.dtype) continue;
        at.dtype = dtype;
        changed = true;
      }
    }
  }
}

function inferred(node: Node): Dtype | undefined {
  if (node.float) return undefined;
  switch (node.kind) {
    case "output":
      return node.inputs[0]?.dtype;
    case "result":
      // Indices and counts (TOPK_V2, UNIQUE) keep their own; where results follow an operand, all do.
      return node.resultIndex > 0 && rowOf(node.op).out.role !== "same" ? undefined : ofOperator(node.inputs[0]!);
    case "operator":
      return ofOperator(node);
    default:
      return undefined;
  }
}

function ofOperator(node: Node): Dtype | undefined {
  const rule = rowOf(node.op).dtype ?? { operand: 0 };
  if (rule === "own") return undefined;
  if ("fixed" in rule) return rule.fixed;
  if ("option" in rule) return dtypeOption(node, rule.option);
  return node.inputs[rule.operand]?.dtype;
}
