/** `minmaxq requantize`: an int8 model as uint8 (reference §5.5). */

import { FileError } from "../base/errors.ts";
import { counted } from "../base/text.ts";
import { activeNodes } from "../graph/graph.ts";
import { requantize as run } from "../passes/transform/requantize.ts";
import { transformCommand } from "./transform.ts";

export const requantize = transformCommand({
  name: "requantize",
  summary: "turn an int8 model into a uint8 one",
  options: [],
  examples: ["minmaxq requantize model.int8.circle -o model.uint8.circle"],
  change(space) {
    const tensors = space.graphs
      .flatMap(activeNodes)
      .filter((node) => node.dtype === "INT8" && node.quant && node.kind !== "output");
    if (tensors.length === 0)
      throw new FileError(space.opened.source.name, "has no int8 tensors with parameters; there is nothing to do");
    for (const graph of space.graphs) run(graph);
    return `${counted(tensors.length, "tensor")} from int8 to uint8`;
  },
});
