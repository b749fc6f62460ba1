/**
 * Results whose parameters LiteRT's kernels fix: those of functions with a range of their own, and those that a row names by dtype.
 *
 *     LOG_SOFTMAX: INT8, recorded −12…0   →   scale 16/256, zero point 127
 */
import { activeNodes, type Graph, type Node } from "../../graph/graph.ts";
import { perTensor, type QuantParam } from "../../graph/quantparam.ts";
import { type Context, schemeOf } from "../context.ts";
import { predefined, specialKindOf } from "../special.ts";

/** Gives such results their parameters; the recorded range stays. */
export function fixParameters(graph: Graph, context: Context): void {
  for (const node of activeNodes(graph)) {
    const fixed = fixedParameters(node, context);
    if (fixed) node.quant = fixed;
  }
}

/** The parameters that an operator's result must have in its scheme; null where any will do. */
export function fixedParameters(node: Node, context: Context): QuantParam | null {
  if (node.kind !== "operator" || !node.quant || node.float) return null;
  const { activation, family } = schemeOf(context, node);
  const kind = specialKindOf(node);
  if (kind !== null && kind !== "integer") return predefined(kind, activation, node.quant);
  const fixed = node.row.families?.[family]?.fixed?.[activation.dtype];
  return fixed
    ? perTensor(fixed.scale, fixed.zeroPoint, { from: "predefined", kind: node.op.toLowerCase() }, node.quant)
    : null;
}
