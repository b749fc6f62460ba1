/** `minmaxq explain`: why a tensor has its scale and zero point, in words. */
import { checkInput } from "../driver/paths.ts";
import { explanationOf } from "../inspect/explain.ts";
import { placesOf, tensorDetails } from "../inspect/tensor.ts";
import { whyOf } from "../inspect/why.ts";
import { openModel } from "../model/index.ts";
import { coloursFor, columnsOf } from "../terminal/streams.ts";
import { explanationLines } from "../views/explain-tensor.ts";
import { documentText } from "../views/json.ts";
import type { Command } from "./command.ts";

export const explain: Command = {
  name: "explain",
  summary: "say why a tensor has its scale and zero point",
  positionals: ["model", "tensor"],
  options: ["from", "json"],
  examples: [
    "minmaxq explain model.int8.tflite conv1/Relu",
    "minmaxq explain model.int8.tflite conv1/Relu --from why.json",
  ],
  notes: ["why.json is what 'minmaxq quantize … --explain why.json' wrote beside the model."],
  async run([model, tensor], options, output) {
    checkInput(model!);
    const opened = openModel(model!);
    try {
      const found = placesOf(opened, tensor!).map((place) => ({
        details: tensorDetails(opened, place),
        explanation: explanationOf(opened, place),
        ...(options.from !== undefined && { why: whyOf(options.from, tensor!, place) ?? null }),
      }));
      if (options.json)
        return output.print(documentText("explain", { reportVersion: 1, path: model!, tensors: found }));
      const look = { colours: coloursFor(1), width: columnsOf(1) };
      for (const each of found) for (const line of explanationLines(each, look)) output.print(line);
    } finally {
      opened.close();
    }
  },
};
