/**
 * After everything is known: ranges so wide that a quantized step is coarse are said (§4.7).
 *
 *     x: UINT8, range −40000…60000   →   warning: one step is 392
 *
 * The reference compares logarithms of the range's ends, which is NaN below 0 and warns for every range that begins at 0; what it
 * is after is the width: more than 2^(1.5 · bits), a step above 16 in uint8.
 */
import { activeNodes, type Graph } from "../graph/graph.ts";
import { type QuantizedDtype, SCHEMES } from "../rules/schemes.ts";
import { type Context, warn } from "./context.ts";

export function warnAccuracy(graph: Graph, context: Context): void {
  for (const node of activeNodes(graph)) {
    const scheme = SCHEMES[node.dtype as QuantizedDtype];
    if (!scheme || !node.quant || node.kind === "output") continue;
    const steps = scheme.symmetric ? 2 * scheme.limit : scheme.limit;
    const scale = largest(node.quant.scale);
    if (Math.log2(scale * steps) <= 1.5 * scheme.bits) continue;
    const width = Number((scale * steps).toPrecision(3));
    warn(
      context,
      node,
      "wide-range",
      `its range is ${width} wide, one step of ${scheme.name} is ${Number(scale.toPrecision(3))}; expect low accuracy`,
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
