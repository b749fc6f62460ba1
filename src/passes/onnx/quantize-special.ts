/**
 * ONNX phase 6: logistic, tanh and softmax get their function's own parameters, floor and its kin an integer scale, each in
 * the dtype it has already (§5.7.6, §3.8): here every tensor may have a dtype of its own.
 *
 *     LOGISTIC: INT16, scale as its pair said   →   INT16, scale 1/32768, zero point 0
 */
import { activeNodes, type Graph } from "../../graph/graph.ts";
import { fusedActivation } from "../../graph/options.ts";
import { rowOf } from "../../rules/operators.ts";
import { predefined, withIntegerScale } from "../special.ts";

export function quantizeSpecial(graph: Graph): void {
  for (const node of activeNodes(graph)) {
    if (node.kind !== "operator" || !node.quant) continue;
    if (node.dtype !== "UINT8" && node.dtype !== "INT16") continue;
    const { out } = rowOf(node.op);
    const kind = out.role === "special" ? out.kind : fusedActivation(node) === "TANH" ? "tanh" : null;
    if (kind === "integer") node.quant = withIntegerScale(node.quant);
    else if (kind) node.quant = predefined(kind, node.dtype, node.quant);
  }
}
