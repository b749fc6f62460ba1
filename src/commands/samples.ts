/** Samples for a model, opened as `quantize` opens them: what the commands of `data` share. */
import type { Output } from "../base/output.ts";
import { checkInput } from "../driver/paths.ts";
import { type OpenSamples, openAll } from "../driver/recording.ts";
import type { SampleSource } from "../driver/settings.ts";
import { fedBy } from "../driver/signatures.ts";
import { type Model, openModel } from "../model/index.ts";
import { mediaOf } from "../options/settings.ts";
import type { OptionValues } from "../options/values.ts";

/** Opens model and samples for `work`, which gets the samples of each signature. Throws a MinmaxqError where they do not fit. */
export async function withSamples(
  path: string,
  sources: readonly SampleSource[],
  options: OptionValues,
  output: Output,
  work: (samples: readonly OpenSamples[], model: Model) => Promise<void>,
): Promise<void> {
  checkInput(path);
  const opened = openModel(path);
  const open: OpenSamples[] = [];
  try {
    const { model } = opened;
    const samples = { media: mediaOf(options), inputShapes: options.inputShape };
    await openAll(model, samples, fedBy(model, sources), open, output);
    await work(open, model);
  } finally {
    for (const { data } of open) data.close();
    opened.close();
  }
}
