/**
 * Headroom: recorded ranges are made wider, because other inputs go beyond them. Of 16 bits it costs one, and clipping costs far more; of 8 bits
 * it costs more than it brings, so there only a person asks for it.
 *
 *     [−1, 3] · 2 → [−2, 6]     [0, 3] → [0, 6]     [1, 3] → [1, 6]
 */
import type { Graph } from "../graph/graph.ts";
import { hasRange } from "../graph/quantparam.ts";
import { type Context, schemeOf } from "../passes/context.ts";
import { FLT_MAX } from "../rules/arithmetic.ts";
import { type AccuracySettings, marginOf } from "./settings.ts";

/** Widens the ranges of a graph's activations. Those that are fixed later lose theirs anyway. */
export function widenRanges(graph: Graph, context: Context, accuracy: AccuracySettings): void {
  for (const node of graph.nodes) {
    if (node.kind === "constant" || node.kind === "output" || node.dtype !== "FLOAT32" || !hasRange(node.quant))
      continue;
    const factor = marginOf(accuracy, schemeOf(context, node).activation.bits);
    if (factor === 1 || node.quant.min.length !== 1) continue;
    const [min, max] = [node.quant.min[0]!, node.quant.max[0]!];
    node.quant = {
      ...node.quant,
      min: Float32Array.of(Math.max(-FLT_MAX, Math.min(min, min * factor))),
      max: Float32Array.of(Math.min(FLT_MAX, Math.max(max, max * factor))),
      provenance: { from: "widened", by: factor, was: node.quant.provenance },
    };
  }
  for (const node of graph.outputs) if (!node.float) node.quant = node.inputs[0]?.quant ?? null;
}
