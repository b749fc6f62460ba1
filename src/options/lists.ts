/** Which options belong together: of what records, of `quantize`, of a job of a batch. */
import { UsageError } from "../base/errors.ts";
import { dialectOf } from "../driver/paths.ts";
import { checkTargetFormat, checkTargetOptions } from "../passes/target/settings.ts";
import { schemeOf, targetOf } from "./scheme.ts";
import { type OptionName, ROWS } from "./table.ts";
import type { OptionValues } from "./values.ts";

/** Options of everything that records. */
export const RECORDING_OPTIONS: readonly OptionName[] = [
  "data",
  "dataFormat",
  "inputShape",
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

export const QUANTIZE_OPTIONS: readonly OptionName[] = [
  "output",
  ...RECORDING_OPTIONS,
  "scheme",
  "dtype",
  "granularity",
  "target",
  "customOperators",
  "config",
  "layer",
  "inputDtype",
  "outputDtype",
  "tfStyleMaxpool",
  "saveMinMax",
  "maskValue",
  "withSteps",
  "withoutSteps",
  "strict",
  "explain",
  "profileData",
  "json",
  "force",
];

/** Options of a job of a batch: those of `quantize` that say what becomes of the model. */
export const JOB_OPTIONS: readonly OptionName[] = QUANTIZE_OPTIONS.filter((name) => !ROWS[name].ofCommand);

/** Those that can be said once for all models of a folder: not the files that are written for one. */
export const SHARED_JOB_OPTIONS: readonly OptionName[] = JOB_OPTIONS.filter((name) => ROWS[name].file !== "written");

/** Refuses options of `quantize` that cannot stand together, before anything is read. */
export function checkTogether(options: OptionValues): void {
  if (options.scheme !== undefined && options.dtype !== undefined)
    throw new UsageError("--dtype: is a scheme of ONE's, and --scheme is there, too; keep one of them");
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
