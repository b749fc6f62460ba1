/** Samples for a model, opened as `quantize` opens them: what the commands of `data` share. */
import type { Output } from "../base/output.ts";
import {
  type DataSet,
  type InputSpec,
  inputSpecs,
  isOpen,
  knownInputs,
  openDataSet,
  openSizeText,
  withShapes,
} from "../calibration/index.ts";
import { checkInput } from "../driver/paths.ts";
import { type Model, openModel } from "../model/index.ts";
import { mediaOf } from "../options/settings.ts";
import type { OptionValues } from "../options/values.ts";

export interface OpenedSamples {
  readonly model: Model;
  readonly inputs: readonly InputSpec[];
  readonly data: DataSet;
}

/** Opens model and samples for `work`. Throws a MinmaxqError where they do not fit. */
export async function withSamples(
  path: string,
  location: string,
  options: OptionValues,
  output: Output,
  work: (samples: OpenedSamples) => Promise<void>,
): Promise<void> {
  checkInput(path);
  const opened = openModel(path);
  try {
    const { model } = opened;
    const inputs = withShapes(inputSpecs(model), options.inputShape);
    const data = await openDataSet(location, inputs, {
      format: options.dataFormat,
      media: { settings: mediaOf(options), known: knownInputs(model), onProgress: output.progress("reading") },
    });
    try {
      if (data.random) for (const input of inputs.filter(isOpen)) output.tell(`warning: ${openSizeText(input)}`);
      await work({ model, inputs, data });
    } finally {
      data.close();
    }
  } finally {
    opened.close();
  }
}
