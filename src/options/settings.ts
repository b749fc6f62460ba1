/** Values of the options → settings of the driver: what commands and a batch's jobs share. */
import { UsageError } from "../base/errors.ts";
import type { Reduction } from "../calibration/index.ts";
import type { QuantizeSettings, Samples } from "../driver/settings.ts";
import type { OptionName, OptionValues } from "./table.ts";

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

/** Options of `quantize`; a batch's jobs take them, too. */
export const QUANTIZE_OPTIONS: readonly OptionName[] = [
  "output",
  ...RECORDING_OPTIONS,
  "dtype",
  "granularity",
  "config",
  "layer",
  "inputDtype",
  "outputDtype",
  "tfStyleMaxpool",
  "saveMinMax",
  "prepare",
  "strict",
  "explain",
  "profileData",
  "json",
  "force",
];

/** Refuses options that cannot stand together, before anything is read. Throws a UsageError. */
export function checkTogether(options: OptionValues): void {
  if (options.granularity === "layer" && options.dtype === "INT16")
    throw new UsageError("--granularity layer: works with uint8 only, as in ONE; use --granularity channel for int16");
}

/** Settings of `quantize` for a model. */
export function quantizeSettings(model: string, options: OptionValues): QuantizeSettings {
  const { dtype, granularity, tfStyleMaxpool, saveMinMax, explain } = options;
  return {
    model,
    output: options.output,
    force: options.force,
    ...(explain !== undefined && { reports: { "--explain": explain } }),
    options: {
      dtype,
      granularity,
      tfStyleMaxpool,
      saveMinMax,
      inputDtypes: options.inputDtype,
      outputDtypes: options.outputDtype,
    },
    layers: layersOf(options),
    profile: options.profileData,
    samples: samplesOf(options),
    withoutSteps: Array.isArray(options.prepare) ? options.prepare : [],
    strict: options.strict,
  };
}

/** Layers with settings of their own; undefined when the options name none. */
export function layersOf({ config, layer }: OptionValues): QuantizeSettings["layers"] {
  return config === undefined && layer === undefined ? undefined : { config, given: layer };
}

/** Samples and how ranges come from them; undefined without `--data`. */
export function samplesOf(options: OptionValues): Samples | undefined {
  const { data, dataFormat, numThreads, memoryLimit, fastMath } = options;
  if (data === undefined) return undefined;
  const reduction = reductionOf(options);
  return { location: data, format: dataFormat, reduction, workers: numThreads, memoryLimit, fastMath };
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
