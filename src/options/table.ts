/**
 * THE OPTION TABLE: one row an option of the plain commands, with everything that is known of it (row.ts). Help, parsing, checks, the
 * values' types (values.ts), job lists and keys of batches derive from it.
 *
 * The drop-in fronts have the reference's own options (src/drop-in).
 */
import { VISQ_METRICS, type VisqMetric } from "../compare/visq.ts";
import { PREPARE_NAMES, REQUESTED_NAMES } from "../passes/prepare/index.ts";
import {
  BLOCK_SIZES,
  type BlockSize,
  ONE_SCHEMES,
  SCHEME_NAMES,
  WEIGHT_QUANTIZERS,
  WEIGHT_SCHEME_NAMES,
  WEIGHT_SCHEMES,
} from "../rules/schemes.ts";
import { TARGET_NAMES } from "../rules/targets.ts";
import {
  collected,
  copiedParameters,
  filled,
  forcedParameters,
  inputShape,
  ioDtypes,
  limits,
  namesOf,
  negative,
  number,
  oneOf,
  percentage,
  share,
  size,
  whole,
} from "./parsers.ts";
import type { OptionRow } from "./row.ts";
import { sizeRemark } from "./sizes.ts";

const BLOCKS = Object.fromEntries(BLOCK_SIZES.map((size) => [size, size])) as Record<string, BlockSize>;

export const OPTIONS = {
  output: {
    flags: "-o, --output <path>",
    help: "where to write the model (required)",
    parse: filled,
    required: true,
    file: "written",
  },
  data: {
    file: "samples",
    flags: "--data <samples>",
    help: "sample inputs: .npy, .npz, .h5, a list file, a folder, or random[:N[:SEED]]",
    parse: filled,
  },
  dataFormat: {
    needs: "data",
    flags: "--data-format <format>",
    help: "format of --data when its name does not tell: npy, npz, h5, list, dir, random",
  },
  inputShape: {
    many: "repeated",
    needs: "data",
    flags: "--input-shape <name=shape>",
    help: "an input's shape where the model leaves sizes open and the samples do not tell: 'image=1,224,224,3'; repeatable",
    parse: collected(inputShape),
  },
  scheme: {
    flags: "--scheme <scheme>",
    help: `what becomes of activations and weights: ${Object.keys(SCHEME_NAMES).join(", ")}; of weights alone, without samples: ${Object.keys(WEIGHT_SCHEMES).join(", ")}`,
    parse: oneOf({ ...SCHEME_NAMES, ...WEIGHT_SCHEME_NAMES }),
    defaultText: "int8 (LiteRT's) for .tflite, uint8 (ONE's) for .circle",
  },
  activations: {
    flags: "--activations <kind>",
    help: "zero points of activations: asymmetric (chosen) or symmetric (0, as some NPUs want int8)",
    parse: oneOf({ asymmetric: "asymmetric", symmetric: "symmetric" } as const),
    defaultText: "as the scheme has them",
  },
  dtype: {
    flags: "--dtype <dtype>",
    help: "ONE's scheme of this dtype, whatever the format: uint8 or int16",
    parse: oneOf(ONE_SCHEMES),
    defaultText: "as --scheme",
  },
  target: {
    flags: "--target <runtime>",
    help: `the runtime that the result is for: ${Object.keys(TARGET_NAMES).join(", ")}`,
    parse: oneOf(TARGET_NAMES),
  },
  granularity: {
    flags: "--granularity <granularity>",
    help: "scales of weights: channel (per channel) or layer (one per tensor)",
    parse: oneOf({ layer: "layer", channel: "channel" } as const),
    default: "channel",
  },
  block: {
    flags: "--block <n>",
    help: "int4 weights with a scale for each block of 32, 64, 128 or 256 values of a row, where kernels exist (dynamic-int4)",
    parse: oneOf(BLOCKS),
  },
  inputDtype: {
    many: "commas",
    flags: "--input-dtype <dtypes>",
    help: "dtype of the inputs (uint8, int8, int16, float32), one for all or one each, separated by commas",
    parse: ioDtypes,
    defaultText: "that of the scheme",
  },
  outputDtype: {
    many: "commas",
    flags: "--output-dtype <dtypes>",
    help: "dtype of the outputs, as --input-dtype",
    parse: ioDtypes,
    defaultText: "that of the scheme",
  },
  tfStyleMaxpool: { flags: "--tf-style-maxpool", help: "MAX_POOL_2D takes its input's scale and zero point" },
  saveMinMax: { flags: "--save-min-max", help: "keep the recorded ranges in the result" },
  maskValue: {
    flags: "--mask-value <value>",
    help: "what masks and pads before SOFTMAX, MAX_POOL_2D and the like say instead of -1e9, -inf and so on",
    parse: negative,
    defaultText: "just below what the operator can tell apart",
  },
  withSteps: {
    many: "repeated",
    flags: "--prepare <steps>",
    help: `also run steps before quantization that are off by default: ${REQUESTED_NAMES.join(", ")}; repeatable, or separated by commas`,
    parse: namesOf("step", REQUESTED_NAMES),
  },
  withoutSteps: {
    many: "repeated",
    flags: "--no-prepare <steps>",
    help: `leave out steps before quantization: ${PREPARE_NAMES.join(", ")}; repeatable, or separated by commas`,
    parse: namesOf("step", PREPARE_NAMES),
  },
  strict: {
    flags: "--strict",
    help: "refuse a model with operators that would stay as they are (float; quantized where it is dequantized), naming all of them",
  },
  withoutRun: { flags: "--no-run", help: "do not load and run a .tflite result in LiteRT before it gets its name" },
  force: { ofCommand: true, flags: "--force", help: "allow the output to replace the input" },
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
    sameResult: true,
    needs: "data",
    flags: "--num-threads <n>",
    help: "workers that run the model; results do not depend on it",
    parse: whole,
    defaultText: "as many as cores and memory allow",
  },
  memoryLimit: {
    sameResult: true,
    needs: "data",
    flags: "--memory-limit <size>",
    help: "memory the process may take while samples run, e.g. 500MB or 2GB (2 is 2 GB, too); a model that does not fit is run in parts, with the same result",
    parse: size,
    remark: sizeRemark,
    defaultText: "three quarters of what is free",
  },
  sequence: {
    needs: "data",
    flags: "--sequence",
    help: "samples follow each other: a model with a state keeps it from one to the next; otherwise the state begins anew with each sample",
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
  json: { ofCommand: true, flags: "--json", help: "print JSON" },
  text: {
    ofCommand: true,
    flags: "--text",
    help: "print a line for each input, constant, operator and output, for diff",
  },
  explain: {
    file: "written",
    flags: "--explain <file.json>",
    help: "also write how every scale and zero point came to be",
    parse: filled,
  },
  profileData: {
    flags: "--profile-data",
    help: "write metadata that says which operators of the input each operator comes from",
  },
  config: {
    file: "read",
    flags: "--config <file.json>",
    help: "layers with a dtype and granularity of their own (schema/layers.schema.json)",
    parse: filled,
  },
  layer: {
    many: "repeated",
    flags: "--layer <name=scheme>",
    help: "a layer's own scheme: 'NAME=int16', 'NAME=uint8:layer' or 'NAME=float32'; globs match, and 'kind:LOGISTIC=float32' all of a kind; repeatable, over --config",
    parse: collected(filled),
  },
  weightDtype: {
    flags: "--weight-dtype <dtype>",
    help: "int4, int8 or int16",
    parse: oneOf(WEIGHT_QUANTIZERS),
    default: WEIGHT_QUANTIZERS.int8,
    defaultText: "int8",
  },
  toDtype: {
    flags: "--to-dtype <dtype>",
    help: "uint8 (from int8) or int8 (from uint8)",
    parse: oneOf({ uint8: "uint8", int8: "int8" } as const),
    default: "uint8",
  },
  keepRanges: {
    flags: "--keep-ranges",
    help: "write a range on every tensor that was quantized: the one recorded in the file, or all that its integers can stand for, so that 'quantize' works without samples",
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
  runAs: {
    flags: "--run <how>",
    help: "how the second model is run: as-is (its own integer kernels) or fake (the float model that rounds as it does)",
    parse: oneOf({ "as-is": "as-is", fake: "fake" } as const),
    defaultText: "as-is where LiteRT has kernels for it",
  },
  layers: { flags: "--layers", help: "also compare every float tensor with the quantized model's of its name" },
  visq: {
    file: "written",
    flags: "--visq <file.json>",
    help: "also write the tensors' errors as ONE's visq does",
    parse: filled,
  },
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
    ofCommand: true,
    flags: "--jobs <n>",
    help: "models at a time; each takes all cores for its weights and samples",
    parse: whole,
    defaultText: "2, or 1 on one core",
  },
  out: {
    ofCommand: true,
    flags: "--out <folder>",
    help: "where outputs and results.jsonl go (required with a folder of models)",
    parse: filled,
    defaultText: "the job list's folder",
  },
  failFast: { ofCommand: true, flags: "--fail-fast", help: "stop at the first job that fails" },
  redo: { ofCommand: true, flags: "--redo", help: "do all jobs, also those whose output is there already" },
  queue: {
    ofCommand: true,
    flags: "--queue <url>",
    help: "redis://… or rediss://… (TLS) of a Redis server, or env for the one in MINMAXQ_QUEUE_URL",
    parse: filled,
  },
  root: {
    ofCommand: true,
    flags: "--root <folder>",
    help: "folder that jobs may read and write (required); repeatable",
    parse: collected(filled),
  },
  takeOver: {
    ofCommand: true,
    flags: "--take-over <seconds>",
    help: "without a sign of life for so long, a worker's job is given to another one",
    parse: number("a number of seconds from 1", (n) => n >= 1 && n <= 86_400),
    default: 30,
  },
} as const satisfies Record<string, OptionRow>;

export type OptionName = keyof typeof OPTIONS;

/** The rows, where it does not matter which. */
export const ROWS: Readonly<Record<OptionName, OptionRow>> = OPTIONS;
