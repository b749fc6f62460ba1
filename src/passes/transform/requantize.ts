/**
 * int8 → uint8: every int8 value and zero point plus 128, scales as they are (§5.5).
 *
 *     x: INT8, scale s, zero point −3   →   x: UINT8, scale s, zero point 125
 */
import { activeNodes, addNode, type Graph, type Node, resultsOf, setInput } from "../../graph/graph.ts";
import { quantParam } from "../../graph/quantparam.ts";

/**
 * Gives the number of tensors turned. `likeReference`: every int8 tensor, as the reference does, which knows no others than those of int8
 * models.
 */
export function requantize(graph: Graph, likeReference = false): number {
  const active = activeNodes(graph);
  const all = active.filter(({ dtype, quant }) => dtype === "INT8" && quant);
  const turned = likeReference ? all : ofInt8Activations(graph, all);
  for (const node of turned) {
    const quant = node.quant!;
    node.quant = quantParam({ ...quant, zeroPoint: quant.zeroPoint.map((zeroPoint) => zeroPoint + 128n) });
    node.dtype = "UINT8";
    if (!node.constant) continue;
    const { count, length } = node.constant;
    node.constant = { kind: "shifted", of: node.constant, count, length };
  }
  // A vector has one axis only, whatever the file says.
  for (const node of active) {
    if (node.quant && node.shape.length === 1 && node.quant.axis !== 0)
      node.quant = quantParam({ ...node.quant, axis: 0 });
  }
  graph.outputs.forEach((output, i) => {
    if (output.inputs[0]?.dtype === "UINT8") graph.outputDtypes[i] = output.dtype = "UINT8";
  });
  return turned.filter(({ kind }) => kind !== "output").length;
}

/**
 * The tensors to turn: int8 activations, and int8 constants that an operator reads together with some. Weights under int16 or float
 * activations stay: no kernel has them in uint8. A constant that operators of both sorts read is doubled.
 */
function ofInt8Activations(graph: Graph, all: readonly Node[]): Node[] {
  const activations = new Set<Node | null>(all.filter(({ kind }) => kind !== "constant"));
  const turned = [...activations] as Node[];
  for (const node of all) {
    if (node.kind !== "constant") continue;
    const users = [...node.users];
    const belongs = (user: Node) => [user, ...user.inputs, ...resultsOf(user)].some((each) => activations.has(each));
    const own = users.filter(belongs);
    if (own.length === 0) continue;
    const others = users.filter((user) => !belongs(user));
    turned.push(node);
    if (others.length === 0) continue;
    const { name, dtype, shape, quant, constant } = node;
    const copy = addNode(graph, { kind: "constant", name, dtype, shape, quant, constant });
    for (const user of others)
      user.inputs.forEach((operand, index) => {
        if (operand === node) setInput(user, index, copy);
      });
  }
  return turned;
}
