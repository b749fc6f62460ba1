/**
 * Phases 3 and 13: of a chain of Quantize operators only the last is kept, and one that changes nothing is bypassed (§4.2).
 * Repeated to a fixed point.
 *
 *     x ─▶ Quantize a ─▶ Quantize b   →   x ─▶ Quantize b
 *     x (U8, s, z) ─▶ Quantize (U8, s, z) ─▶ y   →   x ─▶ y
 */
import { type Graph, type Node, postorder, replace, setInput } from "../../graph/graph.ts";
import { isPerTensor, sameScaleAndZeroPoint } from "../../graph/quantparam.ts";

const isQuantize = (node: Node | null | undefined): boolean =>
  node?.kind === "operator" && node.row.out.role === "requantized";

export function removeRedundantQuantize(graph: Graph): boolean {
  let changed = false;
  for (const node of postorder(graph)) {
    if (!isQuantize(node)) continue;
    const operand = node.inputs[0];
    if (!operand) continue;
    if (isQuantize(operand)) {
      setInput(node, 0, operand.inputs[0] ?? null);
      changed = true;
    } else if (
      isPerTensor(node.quant) &&
      isPerTensor(operand.quant) &&
      node.dtype === operand.dtype &&
      sameScaleAndZeroPoint(node.quant, operand.quant)
    ) {
      replace(node, operand);
      changed = true;
    }
  }
  return changed;
}
