/** `minmaxq record`: runs the float model on samples and writes the ranges of its activations into it. */
import { record as run } from "../driver/quantize.ts";
import { RECORDING_OPTIONS } from "../options/lists.ts";
import { recordSettings } from "../options/settings.ts";
import { printFitted } from "../terminal/table.ts";
import { documentText } from "../views/json.ts";
import { recordedLine } from "../views/summary.ts";
import type { Command } from "./command.ts";

export const record: Command = {
  name: "record",
  summary: "run a float model on samples and write the ranges into it",
  positionals: ["model"],
  options: ["output", ...RECORDING_OPTIONS, "dtype", "json", "force"],
  demands: ["data"],
  examples: [
    "minmaxq record model.circle --data samples/ -o model.recorded.circle",
    "minmaxq record model.tflite --data samples.h5 --mode moving_average -o model.recorded.circle",
    "minmaxq record model.tflite --data encode=a.npz --data decode=b.npz -o model.recorded.circle",
    "minmaxq record model.circle --data samples/ --mode mse --dtype int16 -o model.recorded.circle",
  ],
  async run([input], options, output) {
    const report = await run(recordSettings(input!, options), output);
    if (options.json) return output.print(documentText("report", report));
    const notes = report.notes.filter(({ kind }) => kind === "note").map(({ kind, text }) => `  ${kind}: ${text}`);
    printFitted(output, [recordedLine(report), ...notes]);
  },
};
