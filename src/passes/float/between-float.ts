/**
 * Operators that would be quantized with borders on all sides stay float: they would only lose.
 *
 *     CAST (float) ─▶ DIV ─▶ RESHAPE ─▶ SIN (float)   →   DIV and RESHAPE stay float: no Quantize, no Dequantize, no rounding
 *
 * An island is the largest set of operators of which every float32 operand comes from a float operator, a float32 input of the result or the
 * island itself, and every float32 result goes to such. It takes nothing quantized and gives nothing quantized. Operators that are worth their
 * borders (convolutions, matrix products) are in none, nor is a layer that a person gave a setting. One neighbour at least has to be an operator:
 * float32 inputs and outputs alone are no reason to leave a model as it is.
 */
import { activeNodes, type FloatReason, type Graph, isConstant, type Node } from "../../graph/graph.ts";
import type { Context } from "../context.ts";
import { canonicalDtypes } from "../minmax/io-dtypes.ts";
import { yieldedBy } from "../prepare/edit.ts";

export const BETWEEN_FLOAT: FloatReason = {
  code: "between-float-operators",
  text: "lies between operators that stay float; quantized it would only lose",
};

/** The operators of all islands, in creation order. Runs when operators that stay float for reasons of their own are marked. */
export function betweenFloat(graph: Graph, context: Context): Node[] {
  const active = activeNodes(graph);
  if (!active.some(staysFloat)) return [];
  const edges = floatEdges(graph, new Set(active), context);
  const inside = new Set(active.filter((node) => mayStay(node, context)));
  // What reads or feeds something quantized is taken out, then what read or fed that.
  for (let before = -1; before !== inside.size; ) {
    before = inside.size;
    for (const node of inside)
      if (!edges(node).every((each) => each.float || inside.has(each.operator!))) inside.delete(node);
  }
  return connected(inside, edges);
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

/** What is at the other end of a float32 tensor of an operator: an operator, or an input or output; and whether that stays float. */
interface Edge {
  readonly operator: Node | null;
  readonly float: boolean;
}

function floatEdges(graph: Graph, active: ReadonlySet<Node>, { options }: Context): (node: Node) => Edge[] {
  const { scheme, inputDtypes, outputDtypes } = options;
  const inputs = canonicalDtypes("input", graph.inputs, inputDtypes, scheme);
  const outputs = canonicalDtypes("output", graph.outputs, outputDtypes, scheme);
  const operatorEdge = (operator: Node): Edge => ({ operator, float: staysFloat(operator) });
  const source = (tensor: Node): Edge => {
    if (tensor.kind === "operator") return operatorEdge(tensor);
    if (tensor.kind === "result") return operatorEdge(tensor.inputs[0]!);
    return { operator: null, float: tensor.kind === "input" && inputs[graph.inputs.indexOf(tensor)] === "FLOAT32" };
  };
  const reader = (user: Node): Edge => {
    if (user.kind === "output") return { operator: null, float: outputs[graph.outputs.indexOf(user)] === "FLOAT32" };
    return operatorEdge(user);
  };
  return (node) => {
    const operands = node.inputs.filter((operand) => operand?.dtype === "FLOAT32" && !isConstant(operand));
    const results = yieldedBy(node).filter(({ dtype }) => dtype === "FLOAT32");
    return [
      ...operands.map((operand) => source(operand!)),
      ...results.flatMap((result) =>
        [...result.users]
          .filter((user) => user.kind !== "result" && (user.kind === "output" || active.has(user)))
          .map(reader),
      ),
    ];
  };
}

/** Of the operators inside, those from which an operator that stays float is reached without leaving. */
function connected(inside: ReadonlySet<Node>, edges: (node: Node) => Edge[]): Node[] {
  const found = new Set(
    [...inside].filter((node) => edges(node).some(({ operator }) => operator && staysFloat(operator))),
  );
  for (const node of found)
    for (const { operator } of edges(node)) if (operator && inside.has(operator)) found.add(operator);
  return [...inside].filter((node) => found.has(node));
}
