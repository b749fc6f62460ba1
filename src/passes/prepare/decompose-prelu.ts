/**
 * A slope below 0 becomes operators that every runtime has quantized.
 *
 *     x ─▶ PRELU y (alpha)   →   x ─▶ MUL (by 1, RELU) ────────────────────────▶ SUB y
 *                                x ─▶ MUL (by −1, RELU) ─▶ MUL (by alpha) ─────────┘
 *
 * In float the numbers are the same: max(x, 0) − max(−x, 0) · alpha, one of the terms being 0. Quantized, two more results are rounded.
 */
import { activeNodes, type Graph, type Node } from "../../graph/graph.ts";
import { hasRange } from "../../graph/quantparam.ts";
import type { Workspace } from "../context.ts";
import { type Edit, isPlainFloat } from "./edit.ts";
import { addBeside, addScalar, multiplied, putInPlaceOf, subtracted } from "./rewrite.ts";

export function decomposePrelu(graph: Graph, { context }: Workspace): Edit[] {
  const edits: Edit[] = [];
  for (const y of activeNodes(graph)) {
    const { slope } = y.row;
    if (y.kind !== "operator" || slope === undefined || y.dtype !== "FLOAT32") continue;
    const [x, alpha] = [y.inputs[0], y.inputs[slope]];
    if (x?.dtype !== "FLOAT32" || alpha?.dtype !== "FLOAT32") continue;
    const slopes = isPlainFloat(alpha) ? context.scanner.range(alpha.name, alpha.constant) : rangeOf(alpha);
    const range = slopes && rangeOf(x);
    const most = range && Math.max(-range.min, 0);
    const [one, minusOne] = [addScalar(graph, `${y.name}_one`, 1), addScalar(graph, `${y.name}_minus_one`, -1)];
    const above = addBeside(graph, y, "above", multiplied(x, one, "RELU"), range && [0, Math.max(range.max, 0)]);
    const below = addBeside(graph, y, "below", multiplied(x, minusOne, "RELU"), most === null ? null : [0, most]);
    const sloped = addBeside(
      graph,
      y,
      "sloped",
      multiplied(below, alpha),
      most === null || slopes === null ? null : [Math.min(slopes.min * most, 0), Math.max(slopes.max * most, 0)],
    );
    putInPlaceOf(graph, y, subtracted(above, sloped));
    edits.push({ op: y.op, tensor: y.name });
  }
  return edits;
}

/** A recorded range. */
function rangeOf({ quant }: Node): { min: number; max: number } | null {
  return hasRange(quant) ? { min: quant.min[0]!, max: quant.max[0]! } : null;
}
