/**
 * Constant operands in the place of activations: those that are tied get the parameters of the result, all others are quantized by their own
 * values. Each reader has its own copy.
 *
 *     CONCATENATION(x, c: FLOAT32) ─▶ y: INT8 (s, z)   →   c': INT8 (s, z)
 *     ADD(x, c: FLOAT32) ─▶ y                           →   c': INT8 with the range of c's values
 */
import { ownConstant } from "../../graph/edit.ts";
import { activeNodes, type Graph, isConstant, type Node, yieldedBy } from "../../graph/graph.ts";
import { quantParam } from "../../graph/quantparam.ts";
import { operandsWith, roleOf, tiedOperands } from "../../rules/operators.ts";
import type { Quantizer } from "../../rules/schemes.ts";
import { type Context, schemeOf } from "../context.ts";
import { quantizeByOwnValues, quantizeByParameters } from "../minmax/own-values.ts";

export function quantizeConstantsFor(graph: Graph, context: Context): void {
  for (const node of activeNodes(graph)) {
    if (node.kind !== "operator" || node.float) continue;
    const { activation, family } = schemeOf(context, node);
    const tied = tiedOperands(node.row, node.inputs.length, family);
    const [result] = yieldedBy(node);
    for (const index of operandsWith(node.row, node.inputs.length, "activation")) {
      const operand = node.inputs[index];
      if (!isConstant(operand) || operand.dtype !== "FLOAT32") continue;
      const own = ownConstant(graph, node, index);
      if (tied.includes(index) && result?.quant) {
        const provenance = { from: "backward", node: node.name, op: node.op } as const;
        quantizeByParameters(context, own, activation, quantParam({ ...result.quant, provenance }));
      } else quantizeByOwnValues(context, own, ownQuantizer(context, node, index));
    }
  }
}

/** How a constant operand is quantized by its own values: kernels want zero point 0 of some, which then are as weights are. */
export function ownQuantizer(context: Context, node: Node, index: number): Quantizer {
  const { activation, weights } = schemeOf(context, node);
  const role = roleOf(node.row, index);
  return role.role === "activation" && role.constant ? weights.layer : activation;
}
