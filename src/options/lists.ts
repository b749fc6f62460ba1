/** Which options belong together: of what records, of `quantize`, of a job of a batch. */
import { UsageError } from "../base/errors.ts";
import { dialectOf } from "../driver/paths.ts";
import { checkTargetFormat, checkTargetOptions } from "../passes/target/settings.ts";
import { SCHEMES, WEIGHT_SCHEMES, type WeightScheme } from "../rules/schemes.ts";
import { targetNamed } from "../rules/targets.ts";
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
  "dtype",
  "granularity",
  "block",
  "target",
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

/** Refuses a size of blocks for a scheme without blocks; `scheme`: that of weights alone, where there is one. */
export function checkBlock(block: number | undefined, scheme?: WeightScheme): void {
  if (block === undefined || scheme?.inBlocks) return;
  const names = Object.values<WeightScheme>(WEIGHT_SCHEMES).flatMap(({ name, inBlocks }) => (inBlocks ? [name] : []));
  throw new UsageError(`--block: works with --scheme ${names.join(" or ")} only; add that or leave it out`);
}

/** Refuses options of `quantize` that cannot stand together, before anything is read. */
export function checkTogether(options: OptionValues): void {
  checkBlock(options.block);
  if (!SCHEMES[options.dtype].granularities.some((each) => each === options.granularity))
    throw new UsageError(
      `--granularity ${options.granularity}: works with uint8 only, as in ONE; use --granularity channel for ${options.dtype}`,
    );
  const target = targetNamed(options.target);
  if (!target) return;
  checkTargetOptions(target, SCHEMES[options.dtype].activation.dtype, options.inputDtype, options.outputDtype);
  // A job list names outputs later.
  if (options.output) checkTargetFormat(target, dialectOf(options.output));
}
