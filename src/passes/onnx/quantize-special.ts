/**
 * ONNX phase 6: logistic, tanh and softmax get their function's own parameters, floor and its kin an integer scale, each in
 * the dtype it has already (§5.7.6, §3.8): here every tensor may have a dtype of its own.
 *
 *     LOGISTIC: INT16, scale as its pair said   →   INT16, scale 1/32768, zero point 0
 */
import { activeNodes, type Graph } from "../../graph/graph.ts";
import { type Context, quantizerOf } from "../context.ts";
import { predefined, specialKindOf, withIntegerScale } from "../special.ts";

export function quantizeSpecial(graph: Graph, context: Context): void {
  for (const node of activeNodes(graph)) {
    if (node.kind !== "operator" || !node.quant) continue;
    const quantizer = quantizerOf(context, node);
    if (!quantizer) continue;
    const kind = specialKindOf(node);
    if (kind === "integer") node.quant = withIntegerScale(node.quant);
    else if (kind) node.quant = predefined(kind, quantizer, node.quant);
  }
}
