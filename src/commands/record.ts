/** `minmaxq record`: runs the float model on samples and writes the ranges of its activations into it. */

import { MinmaxqError } from "../base/errors.ts";
import { about } from "../driver/about.ts";
import { checkPaths, dialectOf } from "../driver/paths.ts";
import { writeAs } from "../driver/workspace.ts";
import { type Model, openModel } from "../model/index.ts";
import type { OptionValues } from "../options/table.ts";
import { counted } from "../terminal/output.ts";
import type { Command, Output } from "./command.ts";
import { RECORDING_OPTIONS, record as recordRanges } from "./recording.ts";

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
  run,
};

async function run([input]: readonly string[], options: OptionValues, output: Output): Promise<void> {
  checkPaths([input!, options.data], options.output, options.force);
  const opened = openModel(input!);
  try {
    for (const line of opened.unknown) output.tell(`warning: ${line}`);
    const { ranges, how } = await about(input!, () => recordRanges(opened.model, options, output), options.data);
    if (ranges.size === 0)
      throw new MinmaxqError(`${input}: has no float32 activations; there is nothing to record (give the float model)`);
    for (const { name, min, max } of ranges.values())
      if (!Number.isFinite(min) || !Number.isFinite(max))
        output.tell(
          `warning: "${name}" was ${min} to ${max}, which cannot be quantized; mend the samples or the model`,
        );
    const recorded = withRanges(opened.model, ranges);
    await about(
      input!,
      () => writeAs(recorded, options.output, dialectOf(options.output), opened.external),
      options.output,
    );
    output.print(`${options.output}: ${counted(ranges.size, "range")}, ${how}`);
  } finally {
    opened.close();
  }
}

/** The model with ranges on tensors of its first subgraph; their old parameters are replaced (§7.4). */
export function withRanges(model: Model, ranges: ReadonlyMap<number, { min: number; max: number }>): Model {
  const subgraphs = model.subgraphs?.map((subgraph, index) => {
    if (index !== 0) return subgraph;
    const tensors = subgraph.tensors?.map((tensor, i) => {
      const range = ranges.get(i);
      if (!range) return tensor;
      return {
        ...tensor,
        quantization: {
          min: Float32Array.of(range.min),
          max: Float32Array.of(range.max),
          quantizedDimension: 0,
        },
      };
    });
    return { ...subgraph, tensors };
  });
  return { ...model, subgraphs };
}
