/** Recording ranges for a model: what `quantize --data` and `record` share. */

import { timed } from "../base/timings.ts";
import type { RecordedRange, Reduction } from "../calibration/index.ts";
import { notAbout } from "../driver/about.ts";
import type { Fill, Model } from "../model/index.ts";
import type { OptionName, OptionValues } from "../options/table.ts";
import { counted } from "../terminal/output.ts";
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
  "memoryLimit",
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
  // Loaded here: a run on recorded ranges needs nothing of it.
  const { checkReduction, inputSpecs, openDataSet, recordRanges } = await import("../calibration/index.ts");
  const reduction = reductionOf(options);
  checkReduction(reduction);
  const data = await notAbout(() => openDataSet(options.data!, inputSpecs(model), { format: options.dataFormat }));
  try {
    const ranges = await timed("record", () =>
      recordRanges(model, data, {
        reduction,
        workers: options.numThreads,
        memoryLimit: options.memoryLimit,
        fastMath: options.fastMath,
        onProgress: output.progress("recording"),
        onUnobserved: (names) =>
          output.tell(
            `warning: not recorded, because they lie inside control flow: ${names.map((name) => `"${name}"`).join(", ")}`,
          ),
        fill,
      }),
    );
    return { ranges, how: `${reductionText(reduction)} of ${counted(data.count, "sample")}` };
  } finally {
    data.close();
  }
}

/** Percentiles that are not given. Of all values far fewer may be cut off than of the samples' extremes. */
const PERCENTILES = { percentile: [1, 99], percentile_all: [0.01, 99.99] } as const;

/** `--mode` with its settings. */
export function reductionOf(options: OptionValues): Reduction {
  switch (options.mode) {
    case "percentile":
    case "percentile_all": {
      const [min, max] = PERCENTILES[options.mode];
      return { kind: options.mode, min: options.minPercentile ?? min, max: options.maxPercentile ?? max };
    }
    case "entropy":
    case "mse":
      return { kind: options.mode, dtype: options.dtype };
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
    case "percentile_all":
      return `percentile ${reduction.min}–${reduction.max} of all values`;
    case "entropy":
      return "least divergence (entropy)";
    case "mse":
      return `least squared error (${reduction.dtype.toLowerCase()})`;
    case "moving_average":
      return `moving average (batches of ${reduction.batch}, constant ${reduction.constant})`;
    case "minmax":
      return "minimum and maximum";
  }
}
