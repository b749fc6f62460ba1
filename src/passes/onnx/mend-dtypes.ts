/**
 * Beyond the reference: operators whose operand makes them another dtype than their own pair said (§4.3 knows four of them).
 *
 *     x: UINT8 ─▶ ADD: INT16 (s, 0)   →   x: UINT8 ─▶ ADD: UINT8 (range of s) ─▶ Quantize: INT16 (s, 0)
 *     x: UINT8 (s, z) ─▶ NEG          →   NEG: UINT8 (s, 255 − z)
 *
 * The reference writes such tensors with the one dtype and the other's parameters, which is garbage, or, where they are outputs,
 * refuses the model. For the drop-in front a model that the reference accepts comes out as there, with a warning.
 */

import { type Graph, type Node, postorder } from "../../graph/graph.ts";
import { forwardFrom, isPerTensor, perTensor, type QuantParam, quantParam } from "../../graph/quantparam.ts";
import type { ActivationQuantizer } from "../../rules/schemes.ts";
import { type Context, quantizerOf } from "../context.ts";
import { inferDtypes, inferred } from "../infer-dtypes.ts";
import { predefined, specialKindOf } from "../special.ts";
import { movesValues, turnsOver } from "./follow-operands.ts";
import { requantizeBehind } from "./requantize-between.ts";

export function mendDtypes(graph: Graph, context: Context): void {
  if (context.likeReference && !outputsChange(graph, context)) return;
  for (const node of postorder(graph)) {
    if (node.kind !== "operator") continue;
    const dtype = inferred(node, context.graphs);
    const quantizer = dtype === undefined || dtype === node.dtype ? undefined : quantizerOf(context, { dtype });
    if (!quantizer) continue;
    if (!node.quant) giveParameters(node, quantizer);
    else if (quantizerOf(context, node) && isPerTensor(node.quant)) {
      const quant = ownParameters(node, quantizer);
      if (quant !== null) requantizeBehind(graph, context, node, quantizer, quant);
    }
  }
}

/** Whether inference would change an output's dtype: the models that the reference refuses. */
function outputsChange(graph: Graph, { graphs }: Context): boolean {
  const before = graph.nodes.map((node) => node.dtype);
  inferDtypes(graph, graphs);
  const changed = graph.outputs.some(({ inputs: [producer] }) => producer!.dtype !== before[producer!.id]);
  for (const node of graph.nodes) node.dtype = before[node.id]!;
  return changed;
}

/** Operators without a pair behind such an operand. */
function giveParameters(node: Node, quantizer: ActivationQuantizer): void {
  const operand = node.inputs[0];
  if (!operand || !isPerTensor(operand.quant)) return;
  const from = forwardFrom(operand);
  if (movesValues(node)) node.quant = quantParam({ ...operand.quant, provenance: from });
  else if (turnsOver(node) && !quantizer.symmetric)
    node.quant = perTensor(
      operand.quant.scale[0]!,
      quantizer.low + quantizer.high - Number(operand.quant.zeroPoint[0]),
      from,
    );
  else return;
  node.dtype = quantizer.dtype;
}

/**
 * What an operator works with inside: its operand's parameters if it moves values (null when there are none), its function's if that
 * has its own; undefined = those of its range.
 */
function ownParameters(node: Node, quantizer: ActivationQuantizer): QuantParam | null | undefined {
  if (movesValues(node)) return node.inputs[0]?.quant ?? null;
  const kind = specialKindOf(node);
  return kind && kind !== "integer" ? predefined(kind, quantizer, null) : undefined;
}
