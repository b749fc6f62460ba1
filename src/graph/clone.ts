/** A copy of a graph that can be changed without the original: for trying out what would become of it. */
import { addNode, type Graph, type Node, setInput } from "./graph.ts";

/** The copy, with the same numbers of nodes, and the copy of each node. Descriptions of constants, options and tables are shared. */
export function cloneGraph(graph: Graph): { graph: Graph; copyOf: (node: Node) => Node } {
  const copy: Graph = { ...graph, nodes: [], inputs: [], outputs: [], inputDtypes: [], outputDtypes: [] };
  for (const node of graph.nodes) {
    const { kind, op, name, dtype, shape, quant, resultIndex, operator, options, version, customCode } = node;
    const { tensor, quantAsRead, constant, changes, float, former } = node;
    const made = addNode(copy, {
      ...{ kind, op, name, dtype, shape, quant, resultIndex, operator, options, version, customCode },
      ...{ tensor, quantAsRead, constant, changes, float },
    });
    (made as { former: Node["former"] }).former = former;
  }
  const copyOf = (node: Node) => copy.nodes[node.id]!;
  // Operands may be younger than their users.
  for (const node of graph.nodes)
    for (const [index, operand] of node.inputs.entries()) setInput(copyOf(node), index, operand && copyOf(operand));
  copy.inputs.push(...graph.inputs.map(copyOf));
  copy.outputs.push(...graph.outputs.map(copyOf));
  copy.inputDtypes.push(...graph.inputDtypes);
  copy.outputDtypes.push(...graph.outputDtypes);
  return { graph: copy, copyOf };
}
