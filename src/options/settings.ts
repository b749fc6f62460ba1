/** Values of the options → settings of the driver: what commands and a batch's jobs share. */
import { ACCURACY_LEVELS, type AccuracySettings } from "../accuracy/settings.ts";
import type { MediaSettings, Reduction } from "../calibration/index.ts";
import type { QuantizeSettings, RecordSettings, Samples } from "../driver/settings.ts";
import type { Scheme } from "../rules/schemes.ts";
import { QUANTIZE_OPTIONS } from "./lists.ts";
import { schemeOf, targetOf } from "./scheme.ts";
import { sourcesOf } from "./sources.ts";
import { ROWS } from "./table.ts";
import type { OptionValues } from "./values.ts";

/** Settings of `quantize` for a model. */
export function quantizeSettings(model: string, options: OptionValues): QuantizeSettings {
  const { granularity, tfStyleMaxpool, saveMinMax, maskValue } = options;
  return {
    model,
    output: options.output,
    force: options.force,
    reports: Object.fromEntries(reportsOf(options).map(({ flag, path }) => [flag, path])),
    options: {
      scheme: schemeOf(options),
      granularity,
      target: targetOf(options),
      tfStyleMaxpool,
      saveMinMax,
      maskValue,
      inputDtypes: options.inputDtype,
      outputDtypes: options.outputDtype,
    },
    layers: layersOf(options),
    profile: options.profileData,
    samples: samplesOf(options),
    accuracy: accuracyOf(options),
    withSteps: options.withSteps,
    withoutSteps: options.withoutSteps,
    strict: options.strict,
    // A file for whatever runs it is not for LiteRT to judge.
    withoutRun: options.withoutRun || options.target === "none",
  };
}

/** What is done for accuracy: a level, and single methods over it; undefined where that is nothing. */
export function accuracyOf({
  accuracy,
  biasCorrection,
  rounding,
  rangeMargin,
  equalize,
}: OptionValues): AccuracySettings | undefined {
  if ((accuracy ?? "compat") === "compat" && !biasCorrection && !rounding && !equalize && rangeMargin === undefined)
    return undefined;
  const level: AccuracySettings = ACCURACY_LEVELS[accuracy ?? "compat"];
  return {
    ...level,
    ...(biasCorrection && { biasCorrection }),
    ...(rounding && { rounding }),
    ...(equalize && { equalize }),
    ...(rangeMargin !== undefined && { margin: rangeMargin }),
  };
}

/** Files that the options ask for beside the output. */
export function reportsOf(options: OptionValues) {
  return QUANTIZE_OPTIONS.flatMap((name) => {
    const path = options[name];
    if (ROWS[name].file !== "written" || name === "output" || typeof path !== "string") return [];
    return [{ name, path, flag: ROWS[name].flags.split(" ")[0]! }];
  });
}

/** Settings of `record` for a model. */
export function recordSettings(model: string, options: OptionValues): RecordSettings {
  // Ranges are for any scheme; the format of the file that has them says nothing of it.
  const scheme = schemeOf({ ...options, output: undefined });
  return { model, output: options.output, force: options.force, samples: samplesOf(options, scheme)! };
}

/** Layers with settings of their own; undefined when the options name none. */
export function layersOf({ config, layer }: OptionValues): QuantizeSettings["layers"] {
  return config === undefined && layer === undefined ? undefined : { config, given: layer };
}

/** Samples and how ranges come from them; undefined without `--data`. */
export function samplesOf(options: OptionValues, scheme = schemeOf(options)): Samples | undefined {
  const { data, inputShape: inputShapes, split, numThreads, memoryLimit, fastMath, sequence } = options;
  if (data === undefined) return undefined;
  const reduction = reductionOf(options, scheme);
  return {
    sources: sourcesOf(options),
    inputShapes,
    ...(split !== undefined && { held: { share: split, take: "rest" as const } }),
    media: mediaOf(options),
    reduction,
    workers: numThreads,
    memoryLimit,
    fastMath,
    sequence,
  };
}

/** How pictures and sounds become samples, as far as it is said. */
export function mediaOf({ scale, mean, std, resize, channels, skipBad }: OptionValues): MediaSettings {
  return { scale, mean, std, resize, channels, skipBad };
}

/** Percentiles that are not given. Of all values far fewer may be cut off than of the samples' extremes. */
const PERCENTILES = { percentile: [1, 99], percentile_all: [0.01, 99.99] } as const;

/** `--mode` with its settings. */
export function reductionOf(options: OptionValues, { activation }: Scheme): Reduction {
  switch (options.mode) {
    case "percentile":
    case "percentile_all": {
      const [min, max] = PERCENTILES[options.mode];
      return { kind: options.mode, min: options.minPercentile ?? min, max: options.maxPercentile ?? max };
    }
    case "entropy":
    case "mse":
      return { kind: options.mode, quantizer: activation };
    case "moving_average":
      return { kind: "moving_average", batch: options.movingAvgBatch, constant: options.movingAvgConst };
    case "minmax":
      return { kind: "minmax" };
  }
}
