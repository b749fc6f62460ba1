/** `minmaxq convert`: the same model in the other format. Everything is kept; nothing is optimized or renamed. */
import { statSync } from "node:fs";
import { about } from "../driver/about.ts";
import { checkPaths, dialectOf } from "../driver/paths.ts";
import { writeAs } from "../driver/workspace.ts";
import { openModel } from "../model/index.ts";
import type { OptionValues } from "../options/table.ts";
import { sizeText } from "../terminal/output.ts";
import type { Command, Output } from "./command.ts";

export const convert: Command = {
  name: "convert",
  summary: "convert between .tflite and .circle, keeping everything",
  positionals: ["model"],
  options: ["output", "to", "force"],
  examples: ["minmaxq convert model.tflite -o model.circle", "minmaxq convert model.circle -o model.tflite"],
  run,
};

async function run([input]: readonly string[], options: OptionValues, output: Output): Promise<void> {
  checkPaths([input!], options.output, options.force);
  const opened = openModel(input!);
  try {
    for (const line of opened.unknown) output.tell(`warning: ${line}`);
    const dialect = dialectOf(options.output, options.to);
    await about(input!, () => writeAs(opened.model, options.output, dialect, opened.external), options.output);
    output.print(`${options.output}: ${opened.dialect} → ${dialect}, ${sizeText(statSync(options.output).size)}`);
  } finally {
    opened.close();
  }
}
