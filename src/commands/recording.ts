/** Recording ranges for a model: what `quantize --data` and `record` share. */
import { inputSpecs, openDataSet, type RecordedRange, type Reduction, recordRanges } from "../calibration/index.ts";
import type { OptionName, OptionValues } from "../cli/options.ts";
import { counted } from "../cli/output.ts";
import type { Fill, Model } from "../model/index.ts";
import type { Output } from "./command.ts";

/** Options of everything that records. */
export const RECORDING_OPTIONS: readonly OptionName[] = [
  "data",
  "dataFormat",
  "mode",
  "minPercentile",
  "maxPercentile",
  "movingAvgBatch",
  "movingAvgConst",
  "numThreads",
  "fastMath",
];

export interface Recording {
  /** Ranges by tensor index of subgraph 0. */
  readonly ranges: Map<number, RecordedRange>;
  /** For people: "percentile 1–99 of 16 samples". */
  readonly how: string;
}

/** Runs the model on the samples that the options name. */
export async function record(model: Model, options: OptionValues, output: Output, fill?: Fill): Promise<Recording> {
  const data = await openDataSet(options.data!, inputSpecs(model), { format: options.dataFormat });
  try {
    const reduction = reductionOf(options);
    const ranges = await recordRanges(model, data, {
      reduction,
      workers: options.numThreads,
      fastMath: options.fastMath,
      onProgress: output.progress("recording"),
      onUnobserved: (names) =>
        output.tell(
          `warning: not recorded, because they lie inside control flow: ${names.map((name) => `"${name}"`).join(", ")}`,
        ),
      fill,
    });
    return { ranges, how: `${reductionText(reduction)} of ${counted(data.count, "sample")}` };
  } finally {
    data.close();
  }
}

function reductionOf(options: OptionValues): Reduction {
  switch (options.mode) {
    case "percentile":
      return { kind: "percentile", min: options.minPercentile, max: options.maxPercentile };
    case "moving_average":
      return { kind: "moving_average", batch: options.movingAvgBatch, constant: options.movingAvgConst };
    case "minmax":
      return { kind: "minmax" };
  }
}

function reductionText(reduction: Reduction): string {
  switch (reduction.kind) {
    case "percentile":
      return `percentile ${reduction.min}–${reduction.max}`;
    case "moving_average":
      return `moving average (batches of ${reduction.batch}, constant ${reduction.constant})`;
    case "minmax":
      return "minimum and maximum";
  }
}
