/**
 * For `quantize`: every float activation that is to be quantized needs a recorded range. The reference crashes or leaves such
 * tensors float; here all of them are named, before any work is done.
 */
import { Problems } from "../../base/errors.ts";
import { activeNodes, describe, type Graph, type Node, yieldedBy } from "../../graph/graph.ts";
import { hasRange } from "../../graph/quantparam.ts";

const REMEDY = "give sample inputs with --data, or run 'minmaxq record' first";

/** Throws one error for all tensors without a range. */
export function checkRanges(graph: Graph): void {
  const problems = new Problems();
  for (const line of missingRanges(graph)) problems.add(line);
  problems.throwIfAny("tensors without a recorded range", REMEDY);
}

/** A line for each activation that quantization needs a range of and that has none. */
export function missingRanges(graph: Graph): string[] {
  const missing = activeNodes(graph).filter((node) => needsRange(node) && !hasRange(node.quant));
  return missing.map((node) => {
    // A Quantize at the border of a float operator has that operator's range.
    const border = node.operator === null && node.op === "QUANTIZE";
    return `${describe((border && node.inputs[0]) || node)}: has no recorded range`;
  });
}

/** A float activation that quantization gives a scale. */
function needsRange(node: Node): boolean {
  if (node.dtype !== "FLOAT32" || node.float) return false;
  if (node.kind === "operator") {
    const row = node.row;
    return !row.multiple && yieldedBy(node).length > 0 && row.out.role !== "raw" && row.out.role !== "boolean";
  }
  // A state that only float operators keep needs none.
  if (node.kind === "variable") return [...node.users].some((user) => !user.float);
  return node.kind === "input" || node.kind === "result";
}
