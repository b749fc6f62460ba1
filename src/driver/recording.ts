/** Recording ranges for a model: what the flows of `quantize` and `record` share. */
import type { RecordedRange, Reduction } from "../calibration/index.ts";
import type { Fill, Model } from "../model/index.ts";
import type { Io } from "./io.ts";
import type { RecordedFrom } from "./report.ts";
import type { Samples } from "./settings.ts";

export interface Recording {
  /** Ranges by tensor index of subgraph 0. */
  readonly ranges: Map<number, RecordedRange>;
  readonly from: RecordedFrom;
}

/** Runs the model on samples. `fill` computes contents that the model only describes. Throws a MinmaxqError. */
export async function recordSamples(model: Model, samples: Samples, io: Io, fill?: Fill): Promise<Recording> {
  // Loaded here: a run on recorded ranges needs nothing of it.
  const { checkReduction, inputSpecs, openDataSet, recordRanges } = await import("../calibration/index.ts");
  const { reduction, workers, memoryLimit, fastMath } = samples;
  checkReduction(reduction);
  const data = await openDataSet(samples.location, inputSpecs(model), { format: samples.format });
  try {
    const ranges = await recordRanges(model, data, {
      reduction,
      workers,
      memoryLimit,
      fastMath,
      onProgress: io.progress("recording"),
      onUnobserved: (names) =>
        io.tell(
          `warning: not recorded, because they lie inside control flow: ${names.map((name) => `"${name}"`).join(", ")}`,
        ),
      fill,
    });
    const how = reductionText(reduction);
    return { ranges, from: { source: "samples", how, samples: data.count, random: data.random === true } };
  } finally {
    data.close();
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
      return `least squared error (${reduction.quantizer.dtype.toLowerCase()})`;
    case "moving_average":
      return `moving average (batches of ${reduction.batch}, constant ${reduction.constant})`;
    case "minmax":
      return "minimum and maximum";
  }
}
