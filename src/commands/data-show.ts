/** `minmaxq data show`: what a model would be fed: first values, statistics, where settings come from, and on request a picture of it. */
import { FileError, MinmaxqError, reasonOf } from "../base/errors.ts";
import { counted } from "../base/text.ts";
import { type InputSpec, scaledInputs } from "../calibration/index.ts";
import { inputText, type Look } from "../calibration/inputs.ts";
import { pictureInput, sheetOf } from "../calibration/sheet.ts";
import { type InputStatistics, type Statistics, statisticsOf } from "../calibration/statistics.ts";
import { checkReport } from "../driver/paths.ts";
import { SampleFacts } from "../driver/sample-facts.ts";
import { expectedInputs } from "../model/index.ts";
import { MEDIA_OPTIONS } from "../options/lists.ts";
import type { Command } from "./command.ts";
import { type OpenedSamples, withSamples } from "./samples.ts";

export const dataShow: Command = {
  name: "data show",
  summary: "show what samples a model would be fed: first values, statistics, where settings come from",
  positionals: ["model"],
  options: ["data", "dataFormat", ...MEDIA_OPTIONS, "inputShape", "sheet", "json"],
  demands: ["data"],
  examples: [
    "minmaxq data show model.tflite --data photos/",
    "minmaxq data show model.tflite --data 'photos/*.jpg' --scale 0..1 --sheet sheet.png",
  ],
  async run([model], options, output) {
    const { data: location, sheet } = options;
    if (sheet !== undefined) checkReport("--sheet", sheet, [model, location]);
    await withSamples(model!, location!, options, output, async (samples) => {
      const { inputs, data } = samples;
      const facts = new SampleFacts(inputs, expectedInputs(samples.model), scaledInputs(samples.model));
      const statistics = await statisticsOf(inputs, facts.watch(data), output.progress("looking"));
      const said = [...(data.said ?? []), ...facts.notes(data.random === true, data.prepared)];
      const drawn = sheet === undefined ? undefined : await drawSheet(sheet, samples, statistics);
      if (options.json) {
        const facts = inputs.map(({ name, dtype }, i) => ({ name, dtype, shape: inputs[i]!.shape, ...statistics[i] }));
        const json = { model, data: location, samples: data.count, inputs: facts, notes: said };
        return output.print(JSON.stringify(json, null, 2));
      }
      output.print(`${location}: ${counted(data.count, "sample")} for ${model}`);
      for (const [i, input] of inputs.entries())
        for (const line of lines(input, statistics[i]!, data.shapes?.(0)[i])) output.print(`  ${line}`);
      for (const { kind, text } of said) output.print(`  ${kind}: ${text}`);
      if (drawn) output.print(`  ${drawn}`);
    });
  },
};

function lines(input: InputSpec, statistics: InputStatistics | null, shape?: readonly number[]): string[] {
  const head = `${inputText(input)}${shape && input.signature ? `, here [${shape.join(", ")}]` : ""}`;
  if (!statistics) return [head];
  const { first, channels = [] } = statistics;
  return [
    head,
    `  ${numbers(statistics)}`,
    ...channels.map((channel, i) => `  channel ${i}: ${numbers(channel)}`),
    `  begins with ${first.map(short).join(", ")}`,
  ];
}

const numbers = ({ min, max, mean, std }: Statistics) =>
  `min ${short(min)}, max ${short(max)}, mean ${short(mean)}, std ${short(std)}`;

/** One number where all channels have it. */
const ends = (values: readonly number[]) => [...new Set(values.map(short))].join("/");

const short = (value: number) => Number(value.toPrecision(4));

/** Writes the sheet; gives the line about it. */
async function drawSheet(
  path: string,
  { model, inputs, data }: OpenedSamples,
  statistics: readonly (InputStatistics | null)[],
): Promise<string> {
  const position = pictureInput(inputs);
  if (position < 0)
    throw new MinmaxqError(
      `--sheet: no input of the model is a picture (${inputs.map(inputText).join(", ")}); leave it out`,
    );
  const expected = expectedInputs(model)[position];
  const found = statistics[position];
  const stated = expected && !expected.recorded ? expected : undefined;
  const arrays: Look = { low: [stated?.min ?? found?.min ?? 0], high: [stated?.max ?? found?.max ?? 1], bgr: false };
  const look = data.looks?.[position] ?? arrays;
  const { png, count } = await sheetOf(inputs, position, data, look);
  try {
    await Bun.write(path, png);
  } catch (error) {
    throw new FileError(path, `cannot be written (${reasonOf(error)})`, { cause: error });
  }
  const range = `${ends(look.low)} as black, ${ends(look.high)} as white`;
  return `${path}: the first ${counted(count, "sample")} of input "${inputs[position]!.name}", ${range}`;
}
