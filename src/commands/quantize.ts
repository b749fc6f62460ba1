/**
 * `minmaxq quantize`: the main job. With samples: fake-quantize weights → record → quantize, in memory; without: recorded
 * ranges of the file.
 */
import { checkTogether, QUANTIZE_OPTIONS } from "../options/lists.ts";
import { quantizeBy } from "../options/quantize.ts";
import { printFitted } from "../terminal/table.ts";
import { documentText } from "../views/json.ts";
import { writeReports } from "../views/reports.ts";
import { summary } from "../views/summary.ts";
import type { Command } from "./command.ts";

/** Below the help: for people who know the device and not the schemes (docs/schemes.md has the whole table). */
const DEVICES: NonNullable<Command["notes"]> = [
  "Which scheme for which device:",
  ["LiteRT", "nothing: int8; more accurate: --scheme int16x8; without samples: --scheme dynamic-int8"],
  ["a smaller file alone", "--scheme weights-int8, weights-int4 or weights-float16; no samples"],
  ["microcontrollers", "--target tflm"],
  ["Ethos-U, Edge TPU", "--target ethos-u, --target edgetpu"],
  ["other NPUs", "zero point 0: --activations symmetric; one scale for a tensor: --granularity layer"],
  ["ONE's onert", "-o model.circle --target onert"],
  ["ONE's circle models", "-o model.circle: uint8, bit for bit ONE's; 16 bits: --dtype int16"],
];

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
  notes: DEVICES,
  async run([input], options, output) {
    checkTogether(options);
    const report = await quantizeBy(input!, options, output);
    await writeReports(options, report);
    if (options.json) output.print(documentText("report", report));
    else printFitted(output, summary(report));
  },
};
