/** `minmaxq fake-quantize`: a quantized model as a float model with the same rounding (reference §5.6). */

import { FileError } from "../base/errors.ts";
import { counted } from "../base/text.ts";
import { fakeQuantizeModel } from "../passes/transform/fake-quantize-model.ts";
import { transformCommand } from "./transform.ts";

export const fakeQuantize = transformCommand({
  name: "fake-quantize",
  summary: "turn a quantized model into a float one with the same rounding",
  options: [],
  examples: ["minmaxq fake-quantize model.q8.circle -o model.fq.circle"],
  change({ opened, graphs }) {
    const before = graphs.map((graph) => graph.nodes.length);
    for (const graph of graphs) fakeQuantizeModel(graph, true);
    const rounded = graphs.flatMap((graph, i) => graph.nodes.slice(before[i]).filter((node) => node.op === "QUANTIZE"));
    if (rounded.length === 0)
      throw new FileError(opened.source.name, "has no quantized activations; there is nothing to do");
    return `${counted(rounded.length, "activation")} rounded in float`;
  },
});
