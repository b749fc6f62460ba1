/** Edits that several passes share: new Quantize/Dequantize operators and clones of constants. */
import { addNode, type Dtype, type Graph, type Node, replace, setInput } from "./graph.ts";
import type { QuantParam } from "./quantparam.ts";

/** A Quantize operator on `source` (without users yet). */
export function addQuantize(graph: Graph, source: Node, dtype: Dtype, quant: QuantParam | null): Node {
  return addNode(graph, {
    kind: "operator",
    op: "QUANTIZE",
    options: { type: "QuantizeOptions", value: {} },
    name: `${source.name}_Quantize`,
    dtype,
    shape: source.shape,
    quant,
    inputs: [source],
  });
}

/** A Dequantize operator on `source` (without users yet): FLOAT32, no parameters. */
export function addDequantize(graph: Graph, source: Node): Node {
  return addNode(graph, {
    kind: "operator",
    op: "DEQUANTIZE",
    options: { type: "DequantizeOptions", value: {} },
    name: `${source.name}_Dequantize`,
    dtype: "FLOAT32",
    shape: source.shape,
    inputs: [source],
  });
}

/** Puts `after` behind `node` for all its present users. */
export function insertAfter(node: Node, after: Node): void {
  replace(node, after);
  setInput(after, 0, node);
}

/** A copy of a constant under the same name; names are made unique when the graph is exported. */
export function cloneConstant(graph: Graph, node: Node): Node {
  const { name, dtype, shape, quant, quantAsRead, tensor, constant, changes } = node;
  return addNode(graph, { kind: "constant", name, dtype, shape, quant, quantAsRead, tensor, constant, changes });
}

/** Clones operand `index` of `user` and attaches the clone, so that other users keep the original. */
export function ownConstant(graph: Graph, user: Node, index: number): Node {
  const clone = cloneConstant(graph, user.inputs[index]!);
  setInput(user, index, clone);
  return clone;
}
