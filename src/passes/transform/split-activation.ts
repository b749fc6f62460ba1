/**
 * A fused activation function becomes an operator of its own: the reverse of src/passes/prepare/fuse-activation.ts, for kernels that forget it.
 *
 *     x ─▶ FULLY_CONNECTED y (fused RELU) ─▶ …   →   x ─▶ FULLY_CONNECTED y_linear ─▶ RELU y ─▶ …
 *
 * The tensor y keeps its name and table.
 */
import { addNode, type Graph, type Node, replace } from "../../graph/graph.ts";
import { fusedActivation, setOptions } from "../../graph/options.ts";
import { ActivationFunctionType } from "../../model/index.ts";
import { rowOf } from "../../rules/operators.ts";
import { retire } from "../prepare/edit.ts";

/** Whether there is no fused activation, or an operator for it. */
export function canSplit(node: Node): boolean {
  const fused = fusedActivation(node);
  return fused === "NONE" || rowOf(fused).activation === fused;
}

/** Gives the operator without an activation; the node itself where it has none. Only where `canSplit`. */
export function splitActivation(graph: Graph, node: Node): Node {
  const fused = fusedActivation(node);
  if (fused === "NONE") return node;
  const { op, name, dtype, shape, version, options, customCode, inputs, tensor, quant, quantAsRead } = node;
  const linear = addNode(graph, {
    ...{ kind: "operator", op, customCode, version, options, name: `${name}_linear`, dtype, shape, inputs },
  });
  setOptions(linear, { fusedActivationFunction: ActivationFunctionType.NONE });
  const activation = addNode(graph, {
    ...{ kind: "operator", op: fused, name, dtype, shape, tensor, quant, quantAsRead, inputs: [linear] },
  });
  replace(node, activation);
  retire(node);
  return linear;
}
