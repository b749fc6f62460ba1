/** `minmaxq requantize`: an int8 model as uint8 (reference §5.5), or a uint8 one as int8. */

import { FileError } from "../base/errors.ts";
import { counted } from "../base/text.ts";
import { REQUANTIZED, requantize as run } from "../passes/transform/requantize.ts";
import { transformCommand } from "./transform.ts";

export const requantize = transformCommand({
  name: "requantize",
  summary: "turn an int8 model into a uint8 one, or back: the same numbers, counted from another zero",
  options: ["toDtype"],
  examples: [
    "minmaxq requantize model.int8.circle -o model.uint8.circle",
    "minmaxq requantize model.uint8.tflite --to-dtype int8 -o model.int8.tflite",
  ],
  change(space, { toDtype }) {
    const { from, to } = REQUANTIZED[toDtype];
    const tensors = space.graphs.reduce((sum, graph) => sum + run(graph, toDtype, space.context), 0);
    const names = `${from.toLowerCase()} to ${to.toLowerCase()}`;
    if (tensors === 0)
      throw new FileError(
        space.opened.source.name,
        `has no ${from.toLowerCase()} activations with parameters; there is nothing to do`,
      );
    return `${counted(tensors, "tensor")} from ${names}`;
  },
});
