/**
 * Weights rounded to quantized values and back, still float32 (§5.2): the model that is recorded then already has the error
 * of its weights.
 *
 *     filter FLOAT32   →   filter FLOAT32, each value = q × scale + nudged min; scale, zero point and nudged range kept beside it
 *
 * All parameters and ranges are cleared first, as in the reference; `quantize` keeps those of parts that are quantized already.
 */
import { ownConstant } from "../graph/edit.ts";
import { activeNodes, type Graph, isConstant } from "../graph/graph.ts";
import { quantParam } from "../graph/quantparam.ts";
import { operandsWith, rowOf } from "../operators.ts";
import { parametersOfRange, SCHEMES } from "../scheme.ts";
import { emptyParameters } from "../weights/constant.ts";
import { type Context, granularityOf, schemeOf } from "./context.ts";
import { weightLayout } from "./own-values.ts";

export function fakeQuantizeWeights(graph: Graph, context: Context): void {
  const active = activeNodes(graph);
  for (const node of active) if (node.dtype === "FLOAT32" || context.likeReference) node.quant = null;
  for (const node of active) {
    if (node.kind !== "operator" || node.float) continue;
    const row = rowOf(node.op);
    for (const index of operandsWith(row, node.inputs.length, "weights")) {
      const role = row.in[index]!;
      const operand = node.inputs[index];
      if (role.role !== "weights" || !isConstant(operand) || operand.dtype !== "FLOAT32") continue;
      const perChannel = granularityOf(context, node) === "channel";
      const scheme = perChannel ? schemeOf(context, node) : SCHEMES.UINT8;
      const weights = ownConstant(graph, node, index);
      const of = weights.constant!;
      const layout = weightLayout(node, weights, role, granularityOf(context, node));
      const { min, max } = perChannel
        ? context.scanner.channelRanges(weights.name, of, layout)
        : asVectors(context.scanner.range(weights.name, of));
      const parameters = emptyParameters(layout.channels);
      for (let channel = 0; channel < layout.channels; channel++) {
        const one = parametersOfRange(scheme, min[channel]!, max[channel]!);
        parameters.scale[channel] = one.scale;
        parameters.zeroPoint[channel] = BigInt(one.zeroPoint);
        parameters.nudgedMin[channel] = one.nudgedMin;
        parameters.nudgedMax[channel] = one.nudgedMax;
      }
      const { symmetric, limit } = scheme;
      const { count } = of;
      weights.constant = { kind: "fake", of, symmetric, limit, layout, parameters, count, length: count * 4 };
      weights.quant = quantParam({
        min: parameters.nudgedMin,
        max: parameters.nudgedMax,
        scale: parameters.scale,
        zeroPoint: parameters.zeroPoint,
        axis: perChannel ? role.axis : 0,
        provenance: { from: "own values" },
      });
    }
  }
}

function asVectors({ min, max }: { min: number; max: number }) {
  return { min: Float32Array.of(min), max: Float32Array.of(max) };
}
