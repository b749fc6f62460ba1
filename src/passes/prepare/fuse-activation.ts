/**
 * A RELU after an operator that can carry one becomes that operator's fused activation: one tensor, and one rounding, less.
 *
 *     x ─▶ CONV_2D c ─▶ RELU r ─▶ …   →   x ─▶ CONV_2D r (fused RELU) ─▶ …
 *
 * The tensor is the RELU's: its name, and its range if one is recorded. Only where c has no other reader. Runtimes compute the same
 * numbers either way, so nothing is rounded differently.
 */

import { activeNodes, type Graph, type Node } from "../../graph/graph.ts";
import { fusedActivation } from "../../graph/options.ts";
import { ActivationFunctionType } from "../../model/index.ts";
import { rowOf } from "../../rules/operators.ts";
import type { Workspace } from "../context.ts";
import { type Edit, isReadOnlyBy, mayMerge, merge } from "./edit.ts";

export function fuseActivation(graph: Graph, { context }: Workspace): Edit[] {
  const edits: Edit[] = [];
  for (const last of activeNodes(graph)) {
    const { activation } = last.row;
    const first = last.inputs[0];
    if (last.kind !== "operator" || !activation || !first || !canCarry(first)) continue;
    if (!isReadOnlyBy(first, last) || !mayMerge(context, first, last)) continue;
    merge(graph, context, first, last, withActivation(first, activation));
    edits.push({ op: last.op, tensor: last.name });
  }
  return edits;
}

/** A float operator that has a place for an activation function, and none there. */
function canCarry(node: Node): boolean {
  if (node.kind !== "operator" || node.dtype !== "FLOAT32" || !node.row.takesRelu) return false;
  return Boolean(node.options?.value) && fusedActivation(node) === "NONE";
}

/** Options and version of an operator that carries an activation function. */
export function withActivation(
  { op, options, version }: Node,
  activation: keyof typeof ActivationFunctionType,
): Pick<Node, "options" | "version"> {
  const value = { ...options?.value, fusedActivationFunction: ActivationFunctionType[activation] };
  return {
    options: { ...options, value } as Node["options"],
    version: Math.max(version, rowOf(op).since?.activation ?? 1),
  };
}
