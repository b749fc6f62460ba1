/** `minmaxq fake-quantize-weights`: weights rounded to quantized values, still float (reference §5.2). */

import { counted } from "../base/text.ts";
import { activeNodes } from "../graph/graph.ts";
import { fakeQuantizeWeights as run } from "../passes/transform/fake-quantize-weights.ts";
import { DEFAULT_SCHEME, SCHEMES } from "../rules/schemes.ts";
import { transformCommand } from "./transform.ts";

export const fakeQuantizeWeights = transformCommand({
  name: "fake-quantize-weights",
  summary: "round weights to quantized values, keeping them float",
  options: ["dtype", "granularity", "config", "layer"],
  examples: ["minmaxq fake-quantize-weights model.circle --dtype int16 -o model.fqw.circle"],
  settings: ({ dtype, granularity }) => ({ scheme: dtype ? SCHEMES[dtype] : DEFAULT_SCHEME.scheme, granularity }),
  change(space) {
    for (const graph of space.graphs) run(graph, space.context);
    const weights = space.graphs.flatMap(activeNodes).filter((node) => node.constant?.kind === "fake");
    return `${counted(weights.length, "weight tensor")} rounded`;
  },
});
