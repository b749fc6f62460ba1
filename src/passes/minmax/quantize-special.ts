/**
 * Phase 6: logistic, tanh, softmax and operators with a fused tanh get their function's own parameters, floor and its kin an
 * integer scale (§3.8). This overwrites what backward propagation gave them.
 *
 *     LOGISTIC: scale from recorded 0.01..0.97   →   scale 1/256, zero point 0
 */
import { activeNodes, type Graph } from "../../graph/graph.ts";
import { type Context, schemeOf } from "../context.ts";
import { predefined, specialKindOf, withIntegerScale } from "../special.ts";

export function quantizeSpecial(graph: Graph, context: Context): void {
  for (const node of activeNodes(graph)) {
    if (node.kind !== "operator" || !node.quant || node.float) continue;
    const kind = specialKindOf(node);
    if (kind === "integer") node.quant = withIntegerScale(node.quant);
    else if (kind) node.quant = predefined(kind, schemeOf(context, node).activation, node.quant);
  }
}
