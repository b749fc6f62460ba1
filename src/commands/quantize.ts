/**
 * `minmaxq quantize`: the main job. With samples: fake-quantize weights → record → quantize, in memory; without: recorded
 * ranges of the file.
 */
import { quantize as run } from "../driver/quantize.ts";
import { checkTogether, QUANTIZE_OPTIONS } from "../options/lists.ts";
import { quantizeSettings } from "../options/settings.ts";
import { writeReports } from "../views/reports.ts";
import { summary } from "../views/summary.ts";
import type { Command } from "./command.ts";

export const quantize: Command = {
  name: "quantize",
  summary: "quantize a float model after training",
  positionals: ["model"],
  options: QUANTIZE_OPTIONS,
  examples: [
    "minmaxq quantize model.tflite --data samples.npz -o model.q8.circle",
    "minmaxq quantize recorded.circle --dtype int16 -o model.q16.circle",
    "minmaxq quantize model.tflite --data samples.npz --layer 'conv1*=int16' -o model.mixed.circle",
    "minmaxq quantize model.tflite --data samples.npz --target onert -o model.q8.circle",
    "minmaxq quantize model.tflite --data samples/ --input-dtype float32 --output-dtype float32 -o model.q8.circle",
  ],
  async run([input], options, output) {
    checkTogether(options);
    const report = await run(quantizeSettings(input!, options), output);
    await writeReports(options, report);
    if (options.json) output.print(JSON.stringify(report, null, 2));
    else for (const line of summary(report)) output.print(line);
  },
};
