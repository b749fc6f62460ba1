/**
 * `minmaxq quantize`: the main job. With samples: fake-quantize weights → record → quantize, in memory; without: recorded
 * ranges of the file.
 */
import { checkTogether, QUANTIZE_OPTIONS } from "../options/lists.ts";
import { quantizeBy } from "../options/quantize.ts";
import { documentText } from "../views/json.ts";
import { writeReports } from "../views/reports.ts";
import { summary } from "../views/summary.ts";
import type { Command } from "./command.ts";

export const quantize: Command = {
  name: "quantize",
  summary: "quantize a float model after training",
  positionals: ["model"],
  options: QUANTIZE_OPTIONS,
  examples: [
    "minmaxq quantize model.tflite --data samples.npz -o model.int8.tflite",
    "minmaxq quantize model.tflite --scheme dynamic-int8 -o model.dynamic.tflite",
    "minmaxq quantize model.tflite --data samples.npz -o model.q8.circle",
    "minmaxq quantize model.tflite --data samples.npz --target onert -o model.q8.circle",
    "minmaxq quantize recorded.circle --dtype int16 -o model.q16.circle",
    "minmaxq quantize model.tflite --data encode=a.npz --data decode=b.npz -o model.int8.tflite",
    "minmaxq quantize model.tflite --data samples.npz --layer 'conv1*=float32' -o model.int8.tflite",
    "minmaxq quantize model.tflite --data samples/ --input-dtype float32 --output-dtype float32 -o model.int8.tflite",
  ],
  async run([input], options, output) {
    checkTogether(options);
    const report = await quantizeBy(input!, options, output);
    await writeReports(options, report);
    if (options.json) output.print(documentText("report", report));
    else for (const line of summary(report)) output.print(line);
  },
};
