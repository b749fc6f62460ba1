/** `minmaxq record`: runs the float model on samples and writes the ranges of its activations into it. */
import { counted } from "../base/text.ts";
import { record as run } from "../driver/quantize.ts";
import { RECORDING_OPTIONS } from "../options/lists.ts";
import { samplesOf } from "../options/settings.ts";
import { rangesText } from "../views/summary.ts";
import type { Command } from "./command.ts";

export const record: Command = {
  name: "record",
  summary: "run a float model on samples and write the ranges into it",
  positionals: ["model"],
  options: ["output", ...RECORDING_OPTIONS, "dtype", "force"],
  demands: ["data"],
  examples: [
    "minmaxq record model.circle --data samples/ -o model.recorded.circle",
    "minmaxq record model.tflite --data samples.h5 --mode moving_average -o model.recorded.circle",
    "minmaxq record model.circle --data samples/ --mode mse --dtype int16 -o model.recorded.circle",
  ],
  async run([input], options, output) {
    const { force, output: path } = options;
    const report = await run(
      {
        model: input!,
        output: path,
        force,
        samples: samplesOf(options)!,
      },
      output,
    );
    output.print(`${path}: ${counted(report.rangesWritten!, "range")}, ${rangesText(report)}`);
  },
};
