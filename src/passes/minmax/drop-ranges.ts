/**
 * Phase 14: recorded ranges have done their work and are removed, unless they are to be saved (§4.7).
 *
 *     x: scale, zero point, min, max   →   x: scale, zero point
 */
import type { Graph } from "../../graph/graph.ts";
import { quantParam } from "../../graph/quantparam.ts";
import type { Context } from "../context.ts";

const EMPTY = new Float32Array(0);

export function dropRanges(graph: Graph, context: Context): void {
  if (context.options.saveMinMax) return;
  for (const node of graph.nodes) {
    if (node.quant && (node.quant.min.length > 0 || node.quant.max.length > 0))
      node.quant = quantParam({ ...node.quant, min: EMPTY, max: EMPTY });
  }
}
