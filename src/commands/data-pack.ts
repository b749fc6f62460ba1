/** `minmaxq data pack`: writes the samples that a model would be fed as NumPy arrays. */
import { UsageError } from "../base/errors.ts";
import { counted, sizeText } from "../base/text.ts";
import { isOpen, openSizeText } from "../calibration/index.ts";
import { packSamples } from "../calibration/pack.ts";
import { checkReport } from "../driver/paths.ts";
import { MEDIA_OPTIONS } from "../options/lists.ts";
import { sampleSource, sourcesOf } from "../options/sources.ts";
import { printFitted } from "../terminal/table.ts";
import type { Command } from "./command.ts";
import { withSamples } from "./samples.ts";

export const dataPack: Command = {
  name: "data pack",
  summary: "write the samples that a model would be fed as .npz or .npy",
  positionals: ["samples"],
  options: ["forModel", "samplesOutput", "dataFormat", ...MEDIA_OPTIONS, "inputShape"],
  demands: ["forModel", "samplesOutput"],
  examples: ["minmaxq data pack photos/ --model model.tflite -o samples.npz"],
  async run([location], options, output) {
    const [model, path] = [options.forModel!, options.samplesOutput!];
    if (!/\.np[yz]$/i.test(path)) throw new UsageError(`-o ${path}: samples are written as .npz or .npy; name it so`);
    const sources = sourcesOf({ ...options, data: [sampleSource(location!)] });
    checkReport("-o", path, [model, ...sources.map((source) => source.location)]);
    await withSamples(model, sources, options, output, async (samples) => {
      const { specs, data } = samples[0]!;
      if (data.random) for (const input of specs.filter(isOpen)) output.tell(`warning: ${openSizeText(input)}`);
      const size = await packSamples(path, specs, data, output.progress("writing"));
      const notes = (data.said ?? []).map(({ kind, text }) => `  ${kind}: ${text}`);
      const lines = [`${path}: ${counted(data.count, "sample")}, ${sizeText(size)}`, ...notes];
      printFitted(output, lines);
    });
  },
};
