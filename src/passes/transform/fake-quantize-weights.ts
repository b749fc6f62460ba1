/**
 * Weights rounded to quantized values and back, still float32 (§5.2): the model that is recorded then already has the error
 * of its weights.
 *
 *     filter FLOAT32   →   filter FLOAT32, each value = q × scale + nudged min; scale, zero point and nudged range kept beside it
 *
 * All parameters and ranges are cleared first, as in the reference; `quantize` keeps those of parts that are quantized already.
 */
import { ownConstant } from "../../graph/edit.ts";
import { activeNodes, type Graph, isConstant, type Node } from "../../graph/graph.ts";
import { quantParam } from "../../graph/quantparam.ts";
import { operandsWith } from "../../rules/operators.ts";
import { type Quantizer, quantizerKey } from "../../rules/schemes.ts";
import { type ChannelLayout, type Constant, emptyParameters } from "../../weights/constant.ts";
import { setParameters } from "../../weights/encode.ts";
import { type Context, granularityOf, schemeOf, shared } from "../context.ts";
import { weightLayout } from "../minmax/own-values.ts";

export function fakeQuantizeWeights(graph: Graph, context: Context): void {
  const active = activeNodes(graph);
  for (const node of active) if (node.dtype === "FLOAT32" || context.likeReference) node.quant = null;
  for (const node of active) {
    if (node.kind !== "operator" || node.float) continue;
    const row = node.row;
    for (const index of operandsWith(row, node.inputs.length, "weights")) {
      const role = row.in[index]!;
      const operand = node.inputs[index];
      if (role.role !== "weights" || !isConstant(operand) || operand.dtype !== "FLOAT32") continue;
      const granularity = granularityOf(context, node);
      const quantizer = schemeOf(context, node).weights[granularity];
      const weights = ownConstant(graph, node, index);
      const made = shared(
        context,
        weights.constant!,
        `fake ${quantizerKey(quantizer)} ${granularity} ${role.axis}`,
        () => fakeQuantized(context, weights, weightLayout(node, weights, role, granularity), quantizer),
      );
      weights.constant = made.constant;
      weights.quant = quantParam({ ...made.quant, axis: granularity === "channel" ? role.axis : 0 });
    }
  }
}

/** The rounded values of a constant as a description, and the parameters that round them: its channels are scanned here. */
export function fakeQuantized(context: Context, weights: Node, layout: ChannelLayout, quantizer: Quantizer) {
  const of = weights.constant!;
  const { min, max } = context.scanner.channelRanges(weights.name, of, layout);
  const parameters = emptyParameters(layout.channels);
  setParameters(parameters, context.scanner.parameters(min, max, quantizer), 0);
  const { count } = of;
  const constant: Constant = { kind: "fake", of, quantizer, layout, parameters, count, length: count * 4 };
  const { scale, zeroPoint, nudgedMin, nudgedMax } = parameters;
  const quant = quantParam({ min: nudgedMin, max: nudgedMax, scale, zeroPoint, provenance: { from: "own values" } });
  return { constant, quant };
}
