/** `minmaxq fake-quantize`: a quantized model as a float model with the same rounding (reference §5.6). */

import { FileError } from "../base/errors.ts";
import { counted } from "../base/text.ts";
import { activeNodes } from "../graph/graph.ts";
import { fakeQuantizeModel } from "../passes/transform/fake-quantize-model.ts";
import { DEFAULT_TARGETS } from "../rules/targets.ts";
import { transformCommand } from "./transform.ts";

export const fakeQuantize = transformCommand({
  name: "fake-quantize",
  summary: "turn a quantized model into a float one with the same rounding",
  options: [],
  examples: ["minmaxq fake-quantize model.q8.circle -o model.fq.circle"],
  change({ opened, graphs }) {
    for (const graph of graphs) fakeQuantizeModel(graph, true, DEFAULT_TARGETS[opened.dialect].target);
    // Also those of the model itself, between operators that are float.
    const rounded = graphs.flatMap(activeNodes).filter(({ kind, op }) => kind === "operator" && op === "QUANTIZE");
    if (rounded.length === 0)
      throw new FileError(opened.source.name, "has no quantized activations; there is nothing to do");
    return `${counted(rounded.length, "activation")} rounded in float`;
  },
});
