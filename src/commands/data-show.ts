/** `minmaxq data show`: what a model would be fed: first values, statistics, where settings come from, and on request a picture of it. */
import { FileError, MinmaxqError, reasonOf, UsageError } from "../base/errors.ts";
import { counted } from "../base/text.ts";
import { type InputSpec, isOpen, openSizeText } from "../calibration/index.ts";
import { inputText, type Look } from "../calibration/inputs.ts";
import { pictureInput, sheetOf } from "../calibration/sheet.ts";
import { type InputStatistics, type Statistics, statisticsOf } from "../calibration/statistics.ts";
import { checkReport } from "../driver/paths.ts";
import { notesOf, type OpenSamples } from "../driver/recording.ts";
import { expectedInputs, type Model, signaturesOf } from "../model/index.ts";
import { MEDIA_OPTIONS } from "../options/lists.ts";
import { sourcesOf } from "../options/sources.ts";
import { printFitted } from "../terminal/table.ts";
import { documentText } from "../views/json.ts";
import type { Command } from "./command.ts";
import { withSamples } from "./samples.ts";

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
  async run([path], options, output) {
    const { sheet } = options;
    const sources = sourcesOf(options);
    if (sheet !== undefined) {
      checkReport("--sheet", sheet, [path, ...sources.map(({ location }) => location)]);
      if (sources.length > 1)
        throw new UsageError("--sheet: shows samples of one signature; give one --data, or leave it out");
    }
    await withSamples(path!, sources, options, output, async (samples, model) => {
      const several = signaturesOf(model).length > 1;
      const parts = [];
      for (const each of samples) {
        const { specs, data, facts, fed } = each;
        const statistics = await statisticsOf(specs, facts.watch(data), output.progress("looking"));
        const said = notesOf(each, false, { isOpen, openSizeText });
        const drawn = sheet === undefined ? undefined : await drawSheet(sheet, model, each, statistics);
        const inputs = specs.map(({ name, dtype, shape }, i) => ({ name, dtype, shape, ...statistics[i] }));
        const part = several ? { signature: fed.signature ?? null } : {};
        parts.push({ ...part, data: fed.source.location, samples: data.count, inputs, notes: said });
        if (options.json) continue;
        const named = several && fed.signature !== undefined ? `, signature "${fed.signature}"` : "";
        const shown = [
          `${fed.source.location}: ${counted(data.count, "sample")} for ${path}${named}`,
          ...specs.flatMap((input, i) => lines(input, statistics[i]!, data.shapes?.(0)[i]).map((line) => `  ${line}`)),
          ...said.map(({ kind, text }) => `  ${kind}: ${text}`),
          ...(drawn ? [`  ${drawn}`] : []),
        ];
        printFitted(output, shown);
      }
      if (!options.json) return;
      const [only] = parts;
      output.print(documentText("samples", { model: path, ...(parts.length === 1 ? only : { parts }) }));
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
  model: Model,
  { fed, specs: inputs, data }: OpenSamples,
  statistics: readonly (InputStatistics | null)[],
): Promise<string> {
  const position = pictureInput(inputs);
  if (position < 0)
    throw new MinmaxqError(
      `--sheet: no input of the model is a picture (${inputs.map(inputText).join(", ")}); leave it out`,
    );
  const expected = expectedInputs(model, fed.subgraph)[position];
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
