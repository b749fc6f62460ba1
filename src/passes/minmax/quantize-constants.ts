/**
 * Phase 5: constant operands in the place of activations are quantized by their own values, each consumer its own copy, with
 * the consumer's dtype (§3.7).
 *
 *     ADD(x, c: FLOAT32)   →   ADD(x, c': UINT8 with the range of c's values)
 *
 * An operator whose row says that constants are refused is an error; `quantize` keeps such operators float before this.
 */
import { Problems } from "../../base/errors.ts";
import { ownConstant } from "../../graph/edit.ts";
import { activeNodes, describe, type Graph, isConstant } from "../../graph/graph.ts";
import { operandsWith } from "../../rules/operators.ts";
import { type Context, schemeOf } from "../context.ts";
import { quantizeByOwnValues } from "./own-values.ts";

export function quantizeConstants(graph: Graph, context: Context): void {
  const problems = new Problems();
  for (const node of activeNodes(graph)) {
    if (node.float || node.kind === "result") continue;
    if (node.kind === "output" && isConstant(node.inputs[0])) {
      problems.add(`output "${node.name}": is a constant; there is no rule for that`);
      continue;
    }
    if (node.kind !== "operator") continue;
    const row = node.row;
    if (row.constants === "refused" && node.inputs.some((operand) => isConstant(operand))) {
      problems.add(`${describe(node)}: has a constant operand, for which there is no rule`);
      continue;
    }
    if (row.constants !== "own") continue;
    for (const index of operandsWith(row, node.inputs.length, "activation")) {
      const operand = node.inputs[index];
      if (isConstant(operand) && operand.dtype === "FLOAT32")
        quantizeByOwnValues(context, ownConstant(graph, node, index), schemeOf(context, node).activation);
    }
  }
  problems.throwIfAny("constants that no rule covers");
}
