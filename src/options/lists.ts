/** Which options belong together: of what records, of `quantize`, of a job of a batch. */
import { UsageError } from "../base/errors.ts";
import { dialectOf } from "../driver/paths.ts";
import { checkTargetFormat, checkTargetOptions } from "../passes/target/settings.ts";
import { WEIGHT_SCHEMES, type WeightScheme } from "../rules/schemes.ts";
import { schemeOf, targetOf, weightSchemeOf } from "./scheme.ts";
import { sourcesOf } from "./sources.ts";
import { type OptionName, ROWS } from "./table.ts";
import type { OptionValues } from "./values.ts";

/** How pictures and sounds become samples. */
export const MEDIA_OPTIONS: readonly OptionName[] = ["scale", "mean", "std", "resize", "channels", "skipBad"];

/** Options of everything that records. */
export const RECORDING_OPTIONS: readonly OptionName[] = [
  "data",
  "dataFormat",
  ...MEDIA_OPTIONS,
  "inputShape",
  "split",
  "mode",
  "minPercentile",
  "maxPercentile",
  "movingAvgBatch",
  "movingAvgConst",
  "numThreads",
  "memoryLimit",
  "sequence",
  "fastMath",
];

/** Those that say how ranges come from samples; the others say what samples there are and how they run. */
export const REDUCTION_OPTIONS: readonly OptionName[] = [
  "mode",
  "minPercentile",
  "maxPercentile",
  "movingAvgBatch",
  "movingAvgConst",
];

/** What is done for accuracy beside the scheme's rules. */
export const METHOD_OPTIONS: readonly OptionName[] = ["accuracy", "biasCorrection", "rounding", "rangeMargin"];

/** Which integers, for whom, and what is done before: in parts, because some commands have more between them. */
export const SCHEME_OPTIONS: readonly OptionName[] = ["scheme", "activations", "dtype", "granularity"];
export const TARGET_OPTIONS: readonly OptionName[] = [
  "target",
  "customOperators",
  "config",
  "layer",
  "inputDtype",
  "outputDtype",
  "tfStyleMaxpool",
];
export const PREPARE_OPTIONS: readonly OptionName[] = ["maskValue", "withSteps", "withoutSteps"];

export const QUANTIZE_OPTIONS: readonly OptionName[] = [
  "output",
  ...RECORDING_OPTIONS,
  ...SCHEME_OPTIONS,
  "block",
  ...TARGET_OPTIONS,
  "saveMinMax",
  ...PREPARE_OPTIONS,
  ...METHOD_OPTIONS,
  "strict",
  "withoutRun",
  "equalize",
  "explain",
  "profileData",
  "json",
  "force",
];

/** How a job's result is held against its model. On the command line they hold for the jobs of a list, too. */
export const ACCURACY_OPTIONS: readonly OptionName[] = ["compare", "failBelow", "failAbove"];

/** Options of a job of a batch: those of `quantize` that say what becomes of the model, and those that say how good it must be. */
export const JOB_OPTIONS: readonly OptionName[] = [
  ...QUANTIZE_OPTIONS.filter((name) => !ROWS[name].ofCommand),
  ...ACCURACY_OPTIONS,
];

/** Those that can be said once for all models of a folder: not the files that are written for one. */
export const SHARED_JOB_OPTIONS: readonly OptionName[] = JOB_OPTIONS.filter((name) => ROWS[name].file !== "written");

/** Refuses a size of blocks for a scheme without blocks; `scheme`: that of weights alone, where there is one. */
export function checkBlock(block: number | undefined, scheme?: WeightScheme): void {
  if (block === undefined || scheme?.inBlocks) return;
  const names = Object.values<WeightScheme>(WEIGHT_SCHEMES).flatMap(({ name, inBlocks }) => (inBlocks ? [name] : []));
  throw new UsageError(`--block: works with --scheme ${names.join(" or ")} only; add that or leave it out`);
}

/**
 * Refuses options of `quantize` that cannot stand together, before anything is read. "measured": samples are of use whatever the scheme,
 * because the result runs on them.
 */
export function checkTogether(options: OptionValues, samples?: "measured"): void {
  sourcesOf(options);
  const weights = weightSchemeOf(options);
  checkBlock(options.block, weights);
  if (options.scheme !== undefined && options.dtype !== undefined && options.scheme !== options.dtype)
    throw new UsageError(
      `--dtype ${options.dtype}: is a scheme of ONE's, and --scheme ${options.scheme} is another one; keep one of them`,
    );
  if (weights) return checkWeightsAlone(weights, options, samples === "measured" || usesSamples(options));
  const scheme = schemeOf(options);
  if (!scheme.granularities.includes(options.granularity))
    throw new UsageError(
      `--granularity ${options.granularity}: not with ${scheme.name}, as in ONE; use --granularity ${scheme.granularities[0]}`,
    );
  const target = targetOf(options);
  if (!target) return;
  const flag = options.scheme === undefined && options.dtype !== undefined ? "--dtype" : "--scheme";
  const { activation, name: value } = scheme;
  checkTargetOptions(target, activation.dtype, options.inputDtype, options.outputDtype, { flag, value });
  // A job list names outputs later.
  if (options.output) checkTargetFormat(target, dialectOf(options.output));
}

/** What has to do with activations is of no use where they stay float, and nothing is ignored in silence. */
function checkWeightsAlone({ name, kind }: WeightScheme, options: OptionValues, samples: boolean): void {
  const useless = OF_ACTIVATIONS.find(
    (each) => options[each] !== undefined && options[each] !== false && !(each === "data" && samples),
  );
  if (useless)
    throw new UsageError(
      `${ROWS[useless].flags.split(" ")[0]}: not with --scheme ${name}, whose activations stay float (no samples are needed${useless === "data" ? ", but for --accuracy good or best" : ""}); leave it out`,
    );
  const target = targetOf(options);
  if (target && !target.weightSchemes.includes(kind))
    throw new UsageError(`--scheme ${name}: not for ${target.runtime}; ${target.otherwise}`);
  if (options.output && dialectOf(options.output) !== "tflite")
    throw new UsageError(
      `--scheme ${name}: is LiteRT's; give an output that ends in .tflite (for circle: 'minmaxq quantize-weights')`,
    );
}

/** Options of `quantize` without a use for schemes of weights alone. */
export const OF_ACTIVATIONS: readonly OptionName[] = [
  "data",
  "inputDtype",
  "outputDtype",
  "tfStyleMaxpool",
  "saveMinMax",
  "maskValue",
  "activations",
  "rangeMargin",
];

/** Whether samples are of use also where activations stay float: they say what layers read. */
export function usesSamples({ accuracy, biasCorrection, rounding }: Partial<OptionValues>): boolean {
  return (accuracy !== undefined && accuracy !== "compat") || biasCorrection === true || rounding === "gptq";
}
