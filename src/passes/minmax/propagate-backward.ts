/**
 * Phase 4: operators that only gather values hand their parameters to their operands, so that nothing is rescaled (§3.9).
 *
 *     a ─┐
 *        ├▶ CONCATENATION c (scale s)   →   a and b (if they have no other users) get scale s, constants are quantized with s
 *     b ─┘
 *
 * Consumers come before producers, so chains are handled in one sweep. Special activations overwritten here get their own
 * parameters back in phase 6.
 */
import { MinmaxqError } from "../../base/errors.ts";
import { ownConstant } from "../../graph/edit.ts";
import { describe, type Graph, isConstant, type Node, postorder } from "../../graph/graph.ts";
import { fusedActivation } from "../../graph/options.ts";
import { type QuantParam, quantParam } from "../../graph/quantparam.ts";
import { FLT_MAX } from "../../rules/arithmetic.ts";
import { roleOf } from "../../rules/operators.ts";
import { type Context, isQuantizedIn, quantizerOf, schemeOf } from "../context.ts";
import { quantizeByOwnValues, quantizeByParameters } from "./own-values.ts";

export function propagateBackward(graph: Graph, context: Context): void {
  for (const node of postorder(graph).reverse()) {
    if (node.kind !== "operator" || !node.quant || node.float) continue;
    const { backward } = node.row;
    switch (backward?.rule) {
      case undefined:
        break;
      case "concat":
        if (fusedActivation(node) === "NONE") pushToAll(graph, context, node, node.inputs.keys());
        else quantizeConstants(graph, context, node);
        break;
      case "all":
        pushToAll(graph, context, node, backward.operands === "rest" ? node.inputs.keys() : backward.operands);
        break;
      case "pad-value":
        if (isMinusInfinityPad(context, node)) pullThroughPad(graph, context, node);
        else pushToAll(graph, context, node, activationOperands(node));
        break;
      case "operand": {
        const operand = node.inputs[backward.operand];
        if (operand && operand.users.size === 1 && (operand.kind === "operator" || operand.kind === "input"))
          overwrite(node, operand);
      }
    }
  }
}

/** Gives `to` the parameters and the dtype of `from`. */
function overwrite(from: Node, to: Node): void {
  if (!from.quant) throw new MinmaxqError(`${describe(from)}: has no range; record it first with 'minmaxq record'`);
  if (to.float) return;
  to.quant = received(from);
  to.dtype = from.dtype;
}

function received(from: Node): QuantParam {
  return quantParam({ ...from.quant!, provenance: { from: "backward", node: from.name, op: from.op } });
}

/** Constants are quantized with the node's parameters; computed operands receive them if they have no other users. */
function pushToAll(graph: Graph, context: Context, node: Node, indices: Iterable<number>): void {
  for (const index of indices) {
    const operand = node.inputs[index];
    if (!operand) continue;
    if (isConstant(operand)) {
      const quantizer = quantizerOf(context, node);
      if (isQuantizedIn(context, operand) || !quantizer) continue;
      quantizeByParameters(context, ownConstant(graph, node, index), quantizer, received(node));
    } else if (operand.users.size === 1) {
      overwrite(node, operand);
    }
  }
}

/** With a fused activation the result's parameters say nothing of the operands: constants go by their own values. */
function quantizeConstants(graph: Graph, context: Context, node: Node): void {
  for (const [index, operand] of node.inputs.entries()) {
    if (isConstant(operand) && !isQuantizedIn(context, operand))
      quantizeByOwnValues(
        context,
        ownConstant(graph, node, index),
        quantizerOf(context, node) ?? schemeOf(context, node).activation,
      );
  }
}

function activationOperands(node: Node): number[] {
  return [...node.inputs.keys()].filter((index) => roleOf(node.row, index).role === "activation");
}

/** A pad with the lowest float stands for −∞ (a max-pool follows): its value must not widen the range. */
function isMinusInfinityPad(context: Context, node: Node): boolean {
  const value = node.inputs[2];
  return isConstant(value) && value.dtype === "FLOAT32" && context.scanner.first(value.constant) === -FLT_MAX;
}

/** The pad takes its operand's parameters; the pad value is clipped to the lowest quantized value. */
function pullThroughPad(graph: Graph, context: Context, node: Node): void {
  const input = node.inputs[0]!;
  overwrite(input, node);
  const value = ownConstant(graph, node, 2);
  const quantizer = quantizerOf(context, input);
  if (quantizer) quantizeByParameters(context, value, quantizer, received(input));
}
