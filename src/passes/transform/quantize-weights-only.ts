/**
 * Weights only: symmetric, per channel; activations and biases stay float (§5.4).
 *
 *     FULLY_CONNECTED weights FLOAT32 [O, I]   →   INT8 (or INT4, INT16), a scale for each O, zero point 0
 *
 * A target may want them per tensor, or not at all. Weights that already carry parameters are quantized too; the reference clones them and forgets to.
 */
import { ownConstant } from "../../graph/edit.ts";
import { activeNodes, type Graph, isConstant, type Node } from "../../graph/graph.ts";
import { roleOf } from "../../rules/operators.ts";
import type { Quantizer } from "../../rules/schemes.ts";
import { targetRow } from "../../rules/targets.ts";
import { type Context, warn } from "../context.ts";
import { encodedWeights, floatConstant, weightLayout } from "../minmax/own-values.ts";

/** How weights of an operand are cut into channels: as their role says, or as the target wants them. */
export function weightsOnlyLayout({ options: { target } }: Context, node: Node, index: number) {
  const role = roleOf(node.row, index);
  const weights = node.inputs[index];
  if (role.role !== "weights" || !weights || !node.row.weightsOnly) return null;
  const perTensor = target !== undefined && targetRow(target, node.op).weightsAlone?.granularity === "per tensor";
  const layout = weightLayout(node, weights, role, perTensor ? "layer" : "channel");
  return { layout, axis: perTensor ? 0 : role.axis };
}

export function quantizeWeightsOnly(graph: Graph, context: Context, quantizer: Quantizer): void {
  for (const node of activeNodes(graph)) {
    if (node.kind !== "operator") continue;
    const row = node.row;
    for (const [index, operand] of node.inputs.entries()) {
      const role = roleOf(row, index);
      if (role.role !== "weights" || !operand || operand.dtype !== "FLOAT32") continue;
      if (!row.weightsOnly || !isConstant(operand)) {
        const why = row.weightsOnly
          ? "is not a constant"
          : "stays float, as in ONE: no runtime takes it quantized alone";
        warn(context, node, "weights-stay-float", `${role.name} "${operand.name}" ${why}`);
        continue;
      }
      const { target } = context.options;
      const taken = target && targetRow(target, node.op).weightsAlone;
      if (target && !taken?.dtypes.includes(quantizer.dtype)) {
        const why = `stays float; ${target.name} does not take it quantized alone`;
        warn(context, node, "weights-stay-float", `${role.name} "${operand.name}" ${why}`);
        continue;
      }
      const weights = ownConstant(graph, node, index);
      const values = floatConstant(weights);
      const { layout, axis } = weightsOnlyLayout(context, node, index)!;
      const { constant, quant } = encodedWeights(weights, values, quantizer, layout, axis);
      Object.assign(weights, { constant, quant, dtype: quantizer.dtype });
    }
  }
}
