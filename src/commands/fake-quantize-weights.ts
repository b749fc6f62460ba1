/** `minmaxq fake-quantize-weights`: weights rounded to quantized values, still float (reference §5.2). */

import { activeNodes } from "../graph/graph.ts";
import { fakeQuantizeWeights as run } from "../passes/transform/fake-quantize-weights.ts";
import { counted } from "../terminal/output.ts";
import { setLayersFromOptions } from "./layers.ts";
import { transformCommand } from "./transform.ts";

export const fakeQuantizeWeights = transformCommand({
  name: "fake-quantize-weights",
  summary: "round weights to quantized values, keeping them float",
  options: ["dtype", "granularity", "config", "layer"],
  examples: ["minmaxq fake-quantize-weights model.circle --dtype int16 -o model.fqw.circle"],
  settings: ({ dtype, granularity }) => ({ dtype, granularity }),
  async change(space, options) {
    await setLayersFromOptions(space, options);
    for (const graph of space.graphs) run(graph, space.context);
    const weights = space.graphs.flatMap(activeNodes).filter((node) => node.constant?.kind === "fake");
    return `${counted(weights.length, "weight tensor")} rounded`;
  },
});
