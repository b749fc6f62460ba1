/**
 * Phase 2 (mixed precision): an operator whose layer has another dtype than the model gets Quantize operators at its borders.
 *
 *     x: U8 ─▶ [conv: S16] ─▶ y      →      x: U8 ─▶ Quantize S16 ─▶ [conv: S16] ─▶ Quantize U8 ─▶ y
 *
 * Constants get none: they are quantized straight to the layer's dtype later. Two operands that are the same tensor
 * share one Quantize; unlike the reference (§4.1), the result is quantized back then, too.
 */

import { Problems } from "../../base/errors.ts";
import { addQuantize, insertAfter } from "../../graph/edit.ts";
import { activeNodes, describe, type Graph, isConstant, type Node, resultsOf, setInput } from "../../graph/graph.ts";
import { hasRange, perTensor, type QuantParam } from "../../graph/quantparam.ts";
import { operandsWith } from "../../rules/operators.ts";
import { type ActivationQuantizer, parametersOfRange } from "../../rules/schemes.ts";
import { type Context, schemeOf } from "../context.ts";
import { activationKind, predefined, withIntegerScale } from "../special.ts";

export function insertQuantize(graph: Graph, context: Context): void {
  const problems = new Problems();
  for (const node of activeNodes(graph)) {
    const scheme = schemeOf(context, node);
    if (scheme.activation === context.options.scheme.activation || node.float) continue;
    if (node.kind === "output" || node.kind === "result") continue;
    const { mixed } = node.row;
    if (node.kind !== "operator" || !mixed) {
      problems.add(
        `${describe(node)}: cannot have a dtype of its own (${scheme.name}); remove it from the layer settings`,
      );
      continue;
    }
    const operands = mixed === "activations" ? operandsWith(node.row, node.inputs.length, "activation") : mixed;
    const quantized = new Map<Node, Node>();
    for (const index of operands) {
      const operand = node.inputs[index];
      if (!operand || isConstant(operand) || !operand.quant) continue;
      // Variadic operators get one for each operand, as in the reference.
      const shared = node.row.rest ? undefined : quantized.get(operand);
      const quantize = shared ?? quantizeOf(graph, operand, scheme.activation);
      quantized.set(operand, quantize);
      setInput(node, index, quantize);
    }
    for (const yielded of node.row.multiple ? resultsOf(node) : [node]) {
      if (yielded.quant) insertAfter(yielded, quantizeOf(graph, yielded, context.options.scheme.activation));
    }
  }
  problems.throwIfAny("these layers cannot have a dtype of their own");
}

/**
 * A Quantize operator whose parameters come from `source`'s range, or are predefined for `source`'s kind (§4.0).
 * The range itself is kept, so that a further Quantize can be made from this one.
 */
export function quantizeOf(graph: Graph, source: Node, quantizer: ActivationQuantizer): Node {
  return addQuantize(graph, source, quantizer.dtype, parametersFor(source, quantizer));
}

function parametersFor(source: Node, quantizer: ActivationQuantizer): QuantParam {
  const kind = activationKind(source);
  if (kind !== null && kind !== "integer") return predefined(kind, quantizer, source.quant);
  if (!hasRange(source.quant)) throw new Error(`${describe(source)} has no range to quantize with`);
  const min = source.quant.min[0]!;
  const max = source.quant.max[0]!;
  const { scale, zeroPoint } = parametersOfRange(quantizer, min, max);
  const range = { min: Float32Array.of(min), max: Float32Array.of(max) };
  const quant = perTensor(scale, zeroPoint, { from: "range", of: source.name }, range);
  return kind === "integer" ? withIntegerScale(quant) : quant;
}
