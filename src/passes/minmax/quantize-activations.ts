/**
 * Phase 1: every float32 activation with a recorded range gets a scale and a zero point.
 *
 *     x: FLOAT32, min/max [-1, 1]   →   x: UINT8, scale 2/255, zero point 128, min/max kept
 *
 * Looks at all nodes, also at unreachable ones, at graph inputs and at outputs, which carry a copy of their producer's
 * range.
 */
import { type Graph, isConstant, type Node } from "../../graph/graph.ts";
import { dtypeOption, setOptions } from "../../graph/options.ts";
import { hasRange, type Provenance, type QuantParam, quantParam } from "../../graph/quantparam.ts";
import { TensorType } from "../../model/index.ts";
import { parametersOfRange } from "../../rules/schemes.ts";
import { type Context, schemeOf } from "../context.ts";

export function quantizeActivations(graph: Graph, context: Context): void {
  for (const node of graph.nodes) {
    if (node.dtype !== "FLOAT32" || isConstant(node) || node.float) continue;
    if (hasRange(node.quant)) {
      const { activation } = schemeOf(context, node);
      const parameters = parametersOfRange(activation, node.quant.min[0]!, node.quant.max[0]!);
      node.quant = withParameters(node.quant, parameters, context.likeReference);
      node.dtype = activation.dtype;
    }
    if (node.kind === "operator" && node.row.verify === "cast") declareCastDtypes(node);
  }
}

/** In the reference the parameters are appended: a tensor that already had a scale ends with two (§2.2). */
function withParameters(
  old: QuantParam,
  { scale, zeroPoint }: { scale: number; zeroPoint: number },
  append: boolean,
): QuantParam {
  const recorded: Provenance = { from: "recorded", how: "range in the file" };
  return quantParam({
    ...old,
    scale: Float32Array.of(...(append ? old.scale : []), scale),
    zeroPoint: BigInt64Array.of(...(append ? old.zeroPoint : []), BigInt(zeroPoint)),
    provenance: ["recorded", "widened"].includes(old.provenance.from) ? old.provenance : recorded,
  });
}

/** A CAST names the dtypes it converts between; they follow its operand and result. */
export function declareCastDtypes(node: Node): void {
  const operand = node.inputs[0];
  setOptions(node, {
    inDataType: operand ? TensorType[operand.dtype] : dtypeOption(node, "inDataType"),
    outDataType: TensorType[node.dtype],
  });
}
