/**
 * Operators that would be quantized with borders on all sides stay float: they would only lose.
 *
 *     CAST (float) ─▶ DIV ─▶ RESHAPE ─▶ SIN (float)   →   DIV and RESHAPE stay float: no Quantize, no Dequantize, no rounding
 *
 * An island is the largest set of operators of which every float32 operand comes from a float operator or the island itself, and every float32
 * result goes to such: it takes nothing quantized and gives nothing quantized. Inputs and outputs of the model do not count as float, whatever
 * dtype was asked for them: what a person wants quantized must not stay float because its ends are. Operators that are worth their borders
 * (convolutions, matrix products) are in no island, nor is a layer that a person gave a setting.
 */
import { activeNodes, type FloatReason, type Graph, isConstant, type Node, yieldedBy } from "../../graph/graph.ts";
import type { Context } from "../context.ts";

export const BETWEEN_FLOAT: FloatReason = {
  code: "between-float-operators",
  text: "lies between operators that stay float; quantized it would only lose",
};

/** The operators of all islands, in creation order. Runs when operators that stay float for reasons of their own are marked. */
export function betweenFloat(graph: Graph, context: Context): Node[] {
  const active = new Set(activeNodes(graph));
  const inside = new Set([...active].filter((node) => mayStay(node, context)));
  // What reads or feeds something quantized is taken out, then what read or fed that.
  for (let before = -1; before !== inside.size; ) {
    before = inside.size;
    for (const node of inside) {
      const ends = neighbours(node, active);
      if (ends.length === 0 || !ends.every((end) => end && (staysFloat(end) || inside.has(end)))) inside.delete(node);
    }
  }
  return [...inside];
}

function staysFloat(node: Node): boolean {
  return node.kind === "operator" && node.float !== null && node.float.code !== "nothing-to-do";
}

function mayStay(node: Node, { layers }: Context): boolean {
  if (node.kind !== "operator" || node.float || node.row.heavy || layers.has(node.name)) return false;
  return floatTensors(node).length > 0;
}

/** float32 tensors that an operator reads or yields, without constants. */
function floatTensors(node: Node): Node[] {
  const tensors = [...node.inputs, ...yieldedBy(node)];
  return tensors.filter((tensor): tensor is Node => tensor?.dtype === "FLOAT32" && !isConstant(tensor));
}

/** The operators at the other ends of an operator's float32 tensors; null for an input, an output or a variable. */
function neighbours(node: Node, active: ReadonlySet<Node>): (Node | null)[] {
  const operatorOf = (tensor: Node) => (tensor.kind === "result" ? tensor.inputs[0]! : tensor);
  const operands = node.inputs.filter((operand) => operand?.dtype === "FLOAT32" && !isConstant(operand));
  const results = yieldedBy(node).filter(({ dtype }) => dtype === "FLOAT32");
  const readers = results.flatMap((result) => [...result.users]);
  const isRead = (user: Node) => user.kind === "output" || (user.kind === "operator" && active.has(user));
  const ends = [...operands.map((operand) => operatorOf(operand!)), ...readers.filter(isRead)];
  return ends.map((end) => (end.kind === "operator" ? end : null));
}
