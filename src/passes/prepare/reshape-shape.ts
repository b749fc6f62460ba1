/**
 * The shape that an operator's options say becomes its operand, too, which some runtimes insist on.
 *
 *     x ─▶ RESHAPE (options: 1, 896)   →   x, constant [1, 896] ─▶ RESHAPE
 *
 * Every .circle file gets it when it is written, on request also a .tflite file.
 */
import { activeNodes, type Graph, setInput } from "../../graph/graph.ts";
import { shapeToSay } from "../../graph/shape-operands.ts";
import { declaredShape, type Edit } from "./edit.ts";
import { addVector } from "./rewrite.ts";

export function reshapeShape(graph: Graph): Edit[] {
  const edits: Edit[] = [];
  for (const node of activeNodes(graph)) {
    const { shapeOperand } = node.row;
    if (node.kind !== "operator" || !shapeOperand || node.inputs[shapeOperand.operand]) continue;
    const shape = shapeToSay(node.options?.value, shapeOperand.option, declaredShape(node));
    if (!shape) continue;
    setInput(node, shapeOperand.operand, addVector(graph, `${node.name}_shape`, shape));
    edits.push({ op: node.op, tensor: node.name });
  }
  return edits;
}
