/**
 * Phase 7: operators that only move values take over their operand's parameters (§3.10). Repeated to a fixed point.
 *
 *     x (scale s) ─▶ RESHAPE (recorded scale t)   →   RESHAPE has scale s
 *
 * Ranges and dtypes are not copied. A Quantize operator follows its operand's kind in its own dtype.
 */
import { activeNodes, type Graph, type Node } from "../../graph/graph.ts";
import { forwardFrom, type QuantParam, quantParam, sameScaleAndZeroPoint } from "../../graph/quantparam.ts";
import type { ResultRole } from "../../rules/operators.ts";
import { targetRow } from "../../rules/targets.ts";
import { type Context, quantizerOf } from "../context.ts";
import { activationKind, predefined, withIntegerScale } from "../special.ts";

export function propagateForward(graph: Graph, context: Context): boolean {
  let changed = false;
  for (const node of activeNodes(graph)) {
    if (!node.quant || node.float) continue;
    const operator = node.kind === "result" ? node.inputs[0] : node;
    if (operator?.kind !== "operator") continue;
    const next = followed(node, operator, ruleOf(operator, context), context);
    if (!next || (sameScaleAndZeroPoint(next, node.quant) && next.axis === node.quant.axis)) continue;
    node.quant = next;
    changed = true;
  }
  return changed;
}

/** What the operator table says, and of a target's kernel that copies integers, what the target says. */
function ruleOf({ op, row }: Node, { options }: Context): ResultRole {
  const tied = options.target && targetRow(options.target, op).tied?.operands;
  return tied && tied !== "all" && tied[0] !== undefined ? { role: "same", operand: tied[0] } : row.out;
}

/** The parameters that `node` should have, or null when its role does not follow anything. */
function followed(node: Node, operator: Node, out: ResultRole, context: Context): QuantParam | null {
  if (out.role !== "same" && out.role !== "requantized") return null;
  const source = operator.inputs[out.operand];
  if (!source?.quant) return null;
  if (out.role === "requantized") return requantized(node, source, context);
  if (out.when === "tf-style-maxpool" && !context.options.tfStyleMaxpool) return null;
  const { scale, zeroPoint, axis } = source.quant;
  return quantParam({ ...node.quant!, scale, zeroPoint, axis, provenance: forwardFrom(source) });
}

function requantized(node: Node, source: Node, context: Context): QuantParam | null {
  const quantizer = quantizerOf(context, node);
  if (!quantizerOf(context, source) || !quantizer || source.dtype === node.dtype) return null;
  const kind = activationKind(source);
  if (kind === null) return null;
  if (kind === "integer") return withIntegerScale(node.quant!);
  return predefined(kind, quantizer, node.quant);
}
