/**
 * After everything is known: ranges so wide that a quantized step is coarse are said (§4.7).
 *
 *     x: UINT8, range −40000…60000   →   warning: one step is 392
 *
 * The reference compares logarithms of the range's ends, which is NaN below 0 and warns for every range that begins at 0; what it
 * is after is the width: more than 2^(1.5 · bits), a step above 16 in uint8.
 */
import { activeNodes, type Graph } from "../graph/graph.ts";
import { type Context, quantizerOf, warn } from "./context.ts";

export function warnAccuracy(graph: Graph, context: Context): void {
  for (const node of activeNodes(graph)) {
    const quantizer = quantizerOf(context, node);
    if (!quantizer || !node.quant || node.kind === "output") continue;
    const steps = quantizer.high - quantizer.low;
    const scale = largest(node.quant.scale);
    if (Math.log2(scale * steps) <= 1.5 * quantizer.bits) continue;
    const width = Number((scale * steps).toPrecision(3));
    warn(
      context,
      node,
      "wide-range",
      `its range is ${width} wide, one step of ${quantizer.dtype.toLowerCase()} is ${Number(scale.toPrecision(3))}; expect low accuracy`,
      { width, scale },
    );
  }
}

/** A plain loop: a large model has a million scales, and this code runs for the first time. */
function largest(scales: Float32Array): number {
  let found = 0;
  for (let i = 0; i < scales.length; i++) if (scales[i]! > found) found = scales[i]!;
  return found;
}
