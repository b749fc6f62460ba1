/**
 * An activation function that stands alone becomes a multiplication by 1 that carries it, for runtimes that know it quantized only so.
 *
 *     x ─▶ RELU6 r   →   x ─▶ MUL r (by 1, fused RELU6)
 *
 * In float nothing changes; quantized, 1 is 255 steps of 1/255 and nothing is rounded that was not before.
 */
import { activeNodes, type Graph } from "../../graph/graph.ts";
import type { Edit } from "./edit.ts";
import { addScalar, multiplied, putInPlaceOf } from "./rewrite.ts";

export function reluToMul(graph: Graph): Edit[] {
  const edits: Edit[] = [];
  for (const node of activeNodes(graph)) {
    const { activation } = node.row;
    const x = node.inputs[0];
    if (node.kind !== "operator" || !activation || node.dtype !== "FLOAT32" || x?.dtype !== "FLOAT32") continue;
    const { op } = putInPlaceOf(graph, node, multiplied(x, addScalar(graph, `${node.name}_one`, 1), activation));
    edits.push({ op: node.op, into: op, tensor: node.name });
  }
  return edits;
}
