/** `minmaxq convert`: the same model in the other format. Everything is kept; nothing is optimized or renamed. */
import { sizeText } from "../base/text.ts";
import { convert as run } from "../driver/quantize.ts";
import type { Command } from "./command.ts";

export const convert: Command = {
  name: "convert",
  summary: "convert between .tflite and .circle, keeping everything",
  positionals: ["model"],
  options: ["output", "to", "force"],
  examples: ["minmaxq convert model.tflite -o model.circle", "minmaxq convert model.circle -o model.tflite"],
  async run([input], { output: path, force, to }, output) {
    const { model, output: written } = await run({ model: input!, output: path, force, dialect: to }, output);
    output.print(`${path}: ${model.format} → ${written.format}, ${sizeText(written.bytes)}`);
  },
};
