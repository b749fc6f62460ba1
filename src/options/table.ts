/**
 * THE OPTION TABLE: one row an option of the plain commands. Help, parsing and checks derive from it.
 *
 * The drop-in fronts have the reference's own options (src/drop-in).
 */
import { InvalidArgumentError } from "commander";
import { closest } from "fastest-levenshtein";
import { reasonOf } from "../base/errors.ts";
import { type Limit, limitsFromText } from "../compare/limits.ts";
import { VISQ_METRICS, type VisqMetric } from "../compare/visq.ts";
import type { Dtype } from "../graph/graph.ts";
import { PREPARE_NAMES } from "../passes/prepare/index.ts";
import { WEIGHT_SCHEMES, type WeightScheme } from "../passes/transform/quantize-weights-only.ts";
import { type ForcedParameters, parametersFromText } from "../passes/transform/set-parameters.ts";
import { IO_DTYPES } from "./dtypes.ts";
import { parseSize } from "./sizes.ts";

export interface OptionRow {
  /** As commander wants it: "-o, --output <path>". */
  readonly flags: string;
  readonly help: string;
  /** Text → value; throws InvalidArgumentError with a sentence. */
  // biome-ignore lint/suspicious/noExplicitAny: repeatable options get what they gave before
  readonly parse?: (text: string, before?: any) => any;
  readonly default?: unknown;
  /** What the default is, where the value alone does not say it. */
  readonly defaultText?: string;
  readonly required?: true;
  /** Another option without which this one does nothing. */
  readonly needs?: string;
  /** The value is a path that is read or written (or a word, such as random). */
  readonly path?: "read" | "written";
  /** In a job list it may be an array: as if given so often, or separated by commas. */
  readonly many?: "repeated" | "commas";
}

const filled = (text: string): string => {
  if (text.trim() === "") throw new InvalidArgumentError("It is empty.");
  return text;
};

const oneOf =
  <T>(values: Readonly<Record<string, T>>) =>
  (text: string): T => {
    const key = text.toLowerCase();
    if (Object.hasOwn(values, key)) return values[key]!;
    throw new InvalidArgumentError(`Choose ${Object.keys(values).join(" or ")}.`);
  };

const listOf =
  <T>(one: (text: string) => T) =>
  (text: string): T[] =>
    text.split(",").map((each) => one(each.trim()));

const number =
  (what: string, accept: (value: number) => boolean) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() === "" || !accept(value)) throw new InvalidArgumentError(`It must be ${what}.`);
    return value;
  };

const whole = number("a whole number from 1", (n) => Number.isSafeInteger(n) && n >= 1);
const percentage = number("a number from 0 to 100", (n) => n >= 0 && n <= 100);
const share = number("a number from 0 to 1", (n) => n >= 0 && n <= 1);

const size = (text: string): number => {
  try {
    return parseSize(text.trim());
  } catch (error) {
    throw new InvalidArgumentError(`${reasonOf(error)}.`);
  }
};

const ioDtypes = listOf(oneOf(IO_DTYPES));

/** An option that may be given several times. */
const collected =
  <T>(one: (text: string) => T) =>
  (text: string, before: readonly T[] = []): T[] => [...before, one(text)];

const prepareNames = (text: string, before: unknown): string[] => {
  const names = text.split(",").map((name) => name.trim());
  for (const name of names) {
    if (PREPARE_NAMES.includes(name)) continue;
    throw new InvalidArgumentError(
      `There is no step "${name}"; did you mean ${closest(name, PREPARE_NAMES)}? Known are ${PREPARE_NAMES.join(", ")}.`,
    );
  }
  return [...(Array.isArray(before) ? before : []), ...names];
};

const forcedParameters = (text: string): ForcedParameters => {
  const [, name, scale, zeroPoint] = /^(.+)=([^=,]+),([^=,]+)$/.exec(text) ?? [];
  if (!name) throw new InvalidArgumentError("Write NAME=SCALE,ZERO_POINT.");
  try {
    return parametersFromText(name, scale!, zeroPoint!);
  } catch (error) {
    throw new InvalidArgumentError(`${reasonOf(error)}.`);
  }
};

const limits =
  (direction: "below" | "above") =>
  (text: string, before: readonly Limit[] = []): Limit[] => {
    try {
      return [...before, ...limitsFromText(direction, text)];
    } catch (error) {
      throw new InvalidArgumentError(`${reasonOf(error)}.`);
    }
  };

const copiedParameters = (text: string): readonly [from: string, to: string] => {
  const [, to, from] = /^(.+?)=(.+)$/.exec(text) ?? [];
  if (!to || !from) throw new InvalidArgumentError("Write TO=FROM, both names of tensors.");
  return [from, to];
};

export const OPTIONS = {
  output: {
    flags: "-o, --output <path>",
    help: "where to write the model (required)",
    parse: filled,
    required: true,
    path: "written",
  },
  data: {
    path: "read",
    flags: "--data <samples>",
    help: "sample inputs: .npy, .npz, .h5, a list file, a folder, or random[:N[:SEED]]",
    parse: filled,
  },
  dataFormat: {
    needs: "data",
    flags: "--data-format <format>",
    help: "format of --data when its name does not tell: npy, npz, h5, list, dir, random",
  },
  dtype: {
    flags: "--dtype <dtype>",
    help: "quantized dtype of activations and weights: uint8 or int16",
    parse: oneOf({ uint8: "UINT8", int16: "INT16" } as const),
    default: "UINT8",
    defaultText: "uint8",
  },
  granularity: {
    flags: "--granularity <granularity>",
    help: "scales of weights: one a layer or one a channel",
    parse: oneOf({ layer: "layer", channel: "channel" } as const),
    default: "channel",
  },
  inputDtype: {
    many: "commas",
    flags: "--input-dtype <dtypes>",
    help: "dtype of the inputs (uint8, int16, float32), one for all or one each, separated by commas",
    parse: ioDtypes,
    defaultText: "that of --dtype",
  },
  outputDtype: {
    many: "commas",
    flags: "--output-dtype <dtypes>",
    help: "dtype of the outputs, as --input-dtype",
    parse: ioDtypes,
    defaultText: "that of --dtype",
  },
  tfStyleMaxpool: { flags: "--tf-style-maxpool", help: "MAX_POOL_2D takes its input's scale and zero point" },
  saveMinMax: { flags: "--save-min-max", help: "keep the recorded ranges in the result" },
  prepare: {
    many: "repeated",
    flags: "--no-prepare <steps>",
    help: `leave out steps before quantization: ${PREPARE_NAMES.join(", ")}; repeatable, or separated by commas`,
    parse: prepareNames,
  },
  strict: { flags: "--strict", help: "refuse a model with operators that would stay float, naming all of them" },
  force: { flags: "--force", help: "allow the output to replace the input" },
  mode: {
    needs: "data",
    flags: "--mode <mode>",
    help: "how samples become one range: percentile, moving_average or minmax of the samples' ranges, or percentile_all, entropy or mse of all their values",
    parse: oneOf({
      percentile: "percentile",
      moving_average: "moving_average",
      minmax: "minmax",
      percentile_all: "percentile_all",
      entropy: "entropy",
      mse: "mse",
    } as const),
    default: "percentile",
  },
  minPercentile: {
    needs: "data",
    flags: "--min-percentile <p>",
    help: "of the samples' minima, or of all values",
    parse: percentage,
    defaultText: "1; 0.01 with percentile_all",
  },
  maxPercentile: {
    needs: "data",
    flags: "--max-percentile <p>",
    help: "of the samples' maxima, or of all values",
    parse: percentage,
    defaultText: "99; 99.99 with percentile_all",
  },
  movingAvgBatch: {
    needs: "data",
    flags: "--moving-avg-batch <n>",
    help: "samples in a batch",
    parse: whole,
    default: 16,
  },
  movingAvgConst: {
    needs: "data",
    flags: "--moving-avg-const <c>",
    help: "weight of a new batch",
    parse: share,
    default: 0.1,
  },
  numThreads: {
    needs: "data",
    flags: "--num-threads <n>",
    help: "workers that run the model; results do not depend on it",
    parse: whole,
    defaultText: "as many as cores and memory allow",
  },
  memoryLimit: {
    needs: "data",
    flags: "--memory-limit <size>",
    help: "memory the process may take while samples run, e.g. 500MB or 2GB; a model that does not fit is run in parts, with the same result",
    parse: size,
    defaultText: "three quarters of what is free",
  },
  fastMath: {
    needs: "data",
    flags: "--fast-math",
    help: "run the model with fused multiply-add: faster, but the last bits depend on the machine",
  },
  to: {
    flags: "--to <format>",
    help: "circle or tflite",
    parse: oneOf({ circle: "circle", tflite: "tflite" } as const),
    defaultText: "by the output's ending, else circle",
  },
  json: { flags: "--json", help: "print JSON" },
  explain: {
    path: "written",
    flags: "--explain <file.json>",
    help: "also write how every scale and zero point came to be",
    parse: filled,
  },
  profileData: {
    flags: "--profile-data",
    help: "write metadata that says which operators of the input each operator comes from",
  },
  config: {
    path: "read",
    flags: "--config <file.json>",
    help: "layers with a dtype and granularity of their own (schema/layers.schema.json)",
    parse: filled,
  },
  layer: {
    many: "repeated",
    flags: "--layer <name=dtype>",
    help: "a layer's own dtype: 'NAME=int16' or 'NAME=uint8:layer'; globs match, repeatable, over --config",
    parse: collected(filled),
  },
  weightDtype: {
    flags: "--weight-dtype <dtype>",
    help: "int4, int8 or int16",
    parse: oneOf(WEIGHT_SCHEMES),
    default: WEIGHT_SCHEMES.int8,
    defaultText: "int8",
  },
  set: {
    flags: "--set <name=scale,zero>",
    help: "a tensor's scale and zero point; repeatable",
    parse: collected(forcedParameters),
  },
  copy: {
    flags: "--copy <to=from>",
    help: "take a tensor's parameters from another one; repeatable",
    parse: collected(copiedParameters),
  },
  layers: { flags: "--layers", help: "also compare every float tensor with the quantized model's of its name" },
  visq: { flags: "--visq <file.json>", help: "also write the tensors' errors as ONE's visq does", parse: filled },
  visqMetric: {
    flags: "--visq-metric <metric>",
    help: "what --visq writes: mpeir, mse, tae or srmse",
    parse: oneOf(Object.fromEntries(VISQ_METRICS.map((name) => [name, name])) as Record<VisqMetric, VisqMetric>),
    default: "mpeir",
  },
  failBelow: {
    flags: "--fail-below <metric=limit>",
    help: "exit 1 when an output is worse, e.g. sqnr=20,cosine=0.99 (also top1, top5); repeatable",
    parse: limits("below"),
  },
  failAbove: {
    flags: "--fail-above <metric=limit>",
    help: "exit 1 when an output is worse, e.g. mae=0.1 (also mse, mape, mpeir); repeatable",
    parse: limits("above"),
  },
  jobs: {
    flags: "--jobs <n>",
    help: "models at a time; each takes all cores for its weights and samples",
    parse: whole,
    defaultText: "2, or 1 on one core",
  },
  out: {
    flags: "--out <folder>",
    help: "where outputs and results.jsonl go (required with a folder of models)",
    parse: filled,
    defaultText: "the job list's folder",
  },
  failFast: { flags: "--fail-fast", help: "stop at the first job that fails" },
  redo: { flags: "--redo", help: "do all jobs, also those whose output is there already" },
  queue: {
    flags: "--queue <url>",
    help: "redis://… or rediss://… (TLS) of a Redis server, or env for the one in MINMAXQ_QUEUE_URL",
    parse: filled,
  },
  root: {
    flags: "--root <folder>",
    help: "folder that jobs may read and write (required); repeatable",
    parse: collected(filled),
  },
  takeOver: {
    flags: "--take-over <seconds>",
    help: "without a sign of life for so long, a worker's job is given to another one",
    parse: number("a number of seconds from 1", (n) => n >= 1 && n <= 86_400),
    default: 30,
  },
} as const satisfies Record<string, OptionRow>;

export type OptionName = keyof typeof OPTIONS;

/** Values of the options as commands see them. */
export interface OptionValues {
  output: string;
  data?: string;
  dataFormat?: string;
  dtype: "UINT8" | "INT16";
  granularity: "layer" | "channel";
  inputDtype?: Dtype[];
  outputDtype?: Dtype[];
  tfStyleMaxpool?: boolean;
  saveMinMax?: boolean;
  /** Steps that `--no-prepare` switches off; commander's `true` when it was not given. */
  prepare?: true | string[];
  strict?: boolean;
  force?: boolean;
  mode: "percentile" | "moving_average" | "minmax" | "percentile_all" | "entropy" | "mse";
  minPercentile?: number;
  maxPercentile?: number;
  movingAvgBatch: number;
  movingAvgConst: number;
  numThreads?: number;
  memoryLimit?: number;
  fastMath?: boolean;
  to?: "circle" | "tflite";
  json?: boolean;
  config?: string;
  explain?: string;
  profileData?: boolean;
  layer?: string[];
  weightDtype: WeightScheme;
  set?: ForcedParameters[];
  copy?: (readonly [from: string, to: string])[];
  layers?: boolean;
  visq?: string;
  visqMetric: VisqMetric;
  failBelow?: Limit[];
  failAbove?: Limit[];
  jobs?: number;
  out?: string;
  failFast?: boolean;
  redo?: boolean;
  queue?: string;
  root?: string[];
  takeOver: number;
}
