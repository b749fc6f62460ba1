/**
 * `minmaxq convert`: the same model in the other format. Everything is kept; nothing is optimized or renamed, unless a target is
 * named: then what it cannot run is rewritten.
 */
import { sizeText } from "../base/text.ts";
import { dialectOf } from "../driver/paths.ts";
import { convert as run } from "../driver/quantize.ts";
import { checkTargetFormat } from "../passes/target/settings.ts";
import { DEFAULT_SCHEME, SCHEMES } from "../rules/schemes.ts";
import { targetNamed } from "../rules/targets.ts";
import { printFitted } from "../terminal/table.ts";
import { documentText } from "../views/json.ts";
import { noteLines, preparedLines } from "../views/summary.ts";
import type { Command } from "./command.ts";

export const convert: Command = {
  name: "convert",
  summary: "convert between .tflite and .circle, keeping everything",
  positionals: ["model"],
  options: ["output", "to", "target", "customOperators", "json", "force"],
  examples: [
    "minmaxq convert model.tflite -o model.circle",
    "minmaxq convert model.circle -o model.tflite",
    "minmaxq convert model.tflite --target onert -o model.circle",
  ],
  async run([input], { output: path, force, to, target: name, customOperators, json }, output) {
    const target = targetNamed(name, customOperators);
    if (target) checkTargetFormat(target, dialectOf(path, to));
    const options = target && { ...DEFAULT_SCHEME, scheme: SCHEMES[target.scheme], target };
    const report = await run({ model: input!, output: path, force, dialect: to, options }, output);
    if (json) return output.print(documentText("report", report));
    const { model, output: written } = report;
    const forWhom = target ? `, for ${target.name}` : "";
    output.print(`${path}: ${model.format} → ${written.format}${forWhom}, ${sizeText(written.bytes)}`);
    printFitted(output, [...preparedLines(report), ...noteLines(report)]);
  },
};
