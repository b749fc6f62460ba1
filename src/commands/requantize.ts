/** `minmaxq requantize`: an int8 model as uint8 (reference §5.5). */

import { FileError } from "../base/errors.ts";
import { counted } from "../base/text.ts";
import { requantize as run } from "../passes/transform/requantize.ts";
import { transformCommand } from "./transform.ts";

export const requantize = transformCommand({
  name: "requantize",
  summary: "turn an int8 model into a uint8 one",
  options: [],
  examples: ["minmaxq requantize model.int8.circle -o model.uint8.circle"],
  change(space) {
    const tensors = space.graphs.reduce((sum, graph) => sum + run(graph), 0);
    if (tensors === 0)
      throw new FileError(space.opened.source.name, "has no int8 activations with parameters; there is nothing to do");
    return `${counted(tensors, "tensor")} from int8 to uint8`;
  },
});
