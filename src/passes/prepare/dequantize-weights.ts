/**
 * Integer weights of operators that compute in float (dynamic range models) become the floats that they stand for, to be quantized anew.
 *
 *     FULLY_CONNECTED(x: FLOAT32, w: INT8 with scales)   →   FULLY_CONNECTED(x, w: FLOAT32, described as w's values)
 *
 * Nothing is read: the description is that of a DEQUANTIZE behind the constant. Operators without a rule stay float and keep their
 * integers; so do weights in a layout of their own and scales that lie outside the quantization table (block-wise).
 */
import { activeNodes, addNode, type Graph, isConstant, type Node, setInput } from "../../graph/graph.ts";
import { option } from "../../graph/options.ts";
import { hasRule, operandsWith, rowOf } from "../../rules/operators.ts";
import { type Edit, hasScale, yieldedBy } from "./edit.ts";
import { dequantizedConstant } from "./fold-constants.ts";

export function dequantizeWeights(graph: Graph): Edit[] {
  const edits: Edit[] = [];
  const made = new Map<Node, Node | null>();
  for (const node of activeNodes(graph)) {
    if (!computesInFloat(node)) continue;
    let replaced = false;
    for (const index of valueOperands(node)) {
      const source = node.inputs[index];
      if (!isConstant(source) || !hasScale(source)) continue;
      if (!made.has(source)) made.set(source, asFloat(graph, source));
      const float = made.get(source);
      if (!float) continue;
      setInput(node, index, float);
      replaced = true;
    }
    if (replaced) edits.push({ op: node.op, tensor: node.name });
  }
  return edits;
}

/** An operator with a rule, computed operands and results of which are float, and weights in the usual layout. */
function computesInFloat(node: Node): boolean {
  if (node.kind !== "operator" || !hasRule(node.op) || Number(option(node, "weightsFormat") ?? 0) !== 0) return false;
  const computed = operandsWith(rowOf(node.op), node.inputs.length, "activation")
    .map((index) => node.inputs[index])
    .filter((operand) => operand && !isConstant(operand));
  return computed.length > 0 && [...computed, ...yieldedBy(node)].every((tensor) => tensor!.dtype === "FLOAT32");
}

/** Operands that hold values, whatever for. */
function valueOperands(node: Node): number[] {
  const row = rowOf(node.op);
  return (["weights", "activation", "unit", "bias"] as const).flatMap((role) =>
    operandsWith(row, node.inputs.length, role),
  );
}

function asFloat(graph: Graph, source: Node): Node | null {
  const constant = source.constant && dequantizedConstant(source, source.constant);
  if (!constant) return null;
  const { name, shape, tensor } = source;
  const table = tensor && { ...tensor, quantization: undefined, buffer: 0 };
  return addNode(graph, { kind: "constant", name, dtype: "FLOAT32", shape, tensor: table, constant });
}
