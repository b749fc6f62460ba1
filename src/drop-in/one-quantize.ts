/**
 * The drop-in front of ONE's `one-quantize`, a driver that calls the other tools (§5.9): its arguments, its cfg file, its defaults, its
 * intermediate files, its log. Each step is the front of that tool, so the bits are those of the three tools in a row.
 *
 *     fake-quantize weights ─▶ record ─▶ quantize with min/max  [─▶ fake-quantize the result ─▶ compare with the input]
 */
import { writeFileSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { reasonOf, UsageError } from "../base/errors.ts";
import type { Output } from "../base/output.ts";
import { readJson } from "../base/read-text.ts";
import { ONE_SCHEMES } from "../rules/schemes.ts";
import { readSection } from "./cfg.ts";
import { Steps, type Tool } from "./steps.ts";
import {
  COMMON_WORDS,
  choice,
  EVAL_FORMATS,
  type FrontText,
  GRANULARITIES,
  missingWords,
  parseWords,
  usage,
  type WordOption,
} from "./words.ts";

/** Options that are handed to circle-eval-diff as they are. */
const METRICS = [
  "--print_mae",
  "--print_mape",
  "--print_mpeir",
  "--print_top1_match",
  "--print_top5_match",
  "--print_mse",
];
/** Options that may be given several times; what the cfg file says of them comes behind (§5.9). */
const SEVERAL = ["tensor_name", "scale", "zero_point", "src_tensor_name", "dst_tensor_name"];
/** `--ampq_algorithm` and `--bisection_type`: words of circle-mpqsolver's `--bisection`. */
const ALGORITHMS = { bisection: "--bisection", pattern: "--patterns", patterns: "--patterns" } as const;
const BISECTIONS = { auto: "auto", i16_front: "true", i16_back: "false", true: "true", false: "false" } as const;
/** Options of the solver; they mean nothing without --ampq. */
const SOLVER: Readonly<Record<string, WordOption>> = {
  "--ampq_qerror_ratio": { words: 1, help: "with --ampq: circle-mpqsolver's --qerror_ratio, 0.5 by default" },
  "--ampq_algorithm": { words: 1, help: "with --ampq: bisection (default) or pattern" },
  "--bisection_type": { words: 1, help: "with --ampq: auto (default), i16_front or i16_back" },
  "--ampq_bisection_visq": { words: 1, help: "with --ampq: errors for auto; made when it is not given" },
  "--u8_layernorm_with_s16_variance": { words: 0, help: "with --ampq_algorithm pattern" },
  "--u8_softmax_with_s16_sub_exp": { words: 0, help: "with --ampq_algorithm pattern" },
};

export const OPTIONS: Readonly<Record<string, WordOption>> = {
  "--input_path": { words: 1, help: "-i; float model (required)" },
  "--output_path": { words: 1, help: "-o; where to write the quantized model (required)" },
  "--input_data": { words: 1, help: "-d; samples; without it 3 records of random data" },
  "--input_data_format": { words: 1, help: "-f; h5 (default), hdf5, list, filelist, directory, dir; ours: npy, npz" },
  "--config": { words: 1, help: "-C; cfg file: options in its section [one-quantize]; the command line wins" },
  "--section": { words: 1, help: "-S; accepted; the section is always [one-quantize], as in ONE" },
  "--generate_profile_data": { words: 0, help: "-p; write which operators of the input each operator comes from" },
  "--save_intermediate": {
    words: 0,
    help: "keep the models between the steps beside the output, as INPUT.STEP.circle",
  },
  "--input_model_dtype": { words: 1, help: "float32 (default); int8 with --requantize" },
  "--input_dtype": { words: 1, help: "the same, by its former name" },
  "--quantized_dtype": { words: 1, help: "uint8 or int16; uint8, or what --quant_config says, by default" },
  "--granularity": { words: 1, help: "layer or channel; layer, or what --quant_config says, by default" },
  "--input_type": { words: 1, help: "dtypes of the inputs, separated by commas" },
  "--output_type": { words: 1, help: "dtypes of the outputs, separated by commas" },
  "--mode": { words: 1, help: "percentile (default) or moving_average; ours: minmax, percentile_all, entropy, mse" },
  "--min_percentile": { words: 1, help: "1.0 by default" },
  "--max_percentile": { words: 1, help: "99.0 by default" },
  "--moving_avg_batch": { words: 1, help: "16 by default" },
  "--moving_avg_const": { words: 1, help: "0.1 by default" },
  "--TF-style_maxpool": { words: 0, help: "MAX_POOL_2D takes its input's parameters" },
  "--quant_config": {
    words: 1,
    help: "JSON file of layers with a dtype and granularity of their own, and of defaults",
  },
  "--evaluate_result": { words: 0, help: "compare the result, fake-quantized, with the input" },
  "--test_data": { words: 1, help: "samples for that; random ones by default" },
  ...Object.fromEntries(METRICS.map((name) => [name, { words: 0, help: "a metric of --evaluate_result" }])),
  "--force_quantparam": {
    words: 0,
    help: "only set parameters: --tensor_name, --scale and --zero_point, each as often",
  },
  "--tensor_name": { words: 1, help: "with --force_quantparam; repeatable" },
  "--scale": { words: 1, help: "with --force_quantparam; repeatable" },
  "--zero_point": { words: 1, help: "with --force_quantparam; repeatable" },
  "--copy_quantparam": {
    words: 0,
    help: "only copy parameters: --src_tensor_name and --dst_tensor_name, each as often",
  },
  "--src_tensor_name": { words: 1, help: "with --copy_quantparam; repeatable" },
  "--dst_tensor_name": { words: 1, help: "with --copy_quantparam; repeatable" },
  "--fake_quantize": { words: 0, help: "only turn a quantized model into a float one with the same rounding" },
  "--requantize": {
    words: 0,
    help: "only turn an int8 model into a uint8 one (--input_model_dtype int8 --quantized_dtype uint8)",
  },
  "--ampq": { words: 0, help: "mixed precision: record, then circle-mpqsolver, which chooses layers for int16" },
  ...SOLVER,
  ...COMMON_WORDS,
};

const SHORT: Readonly<Record<string, string>> = {
  "-i": "--input_path",
  "-o": "--output_path",
  "-d": "--input_data",
  "-f": "--input_data_format",
  "-p": "--generate_profile_data",
  "-C": "--config",
  "-S": "--section",
  "-v": "--version",
  "-V": "--verbose",
};

const TEXT: FrontText = {
  name: "one-quantize",
  positionals: "",
  options: OPTIONS,
  python: true,
  short: SHORT,
  example: "-i model.circle -d samples.h5 -o model.q8.circle --granularity channel",
};

export const HELP = () => usage(TEXT);

/** Options by name without dashes: the values of each. An option without words has one empty value. */
type Values = ReadonlyMap<string, readonly string[]>;

export async function runOneQuantize(words: readonly string[], output: Output): Promise<void> {
  const values = valuesOf(words, output);
  const missing = ["input_path", "output_path"].filter((name) => !values.get(name)?.[0]);
  if (missing.length > 0)
    throw missingWords(
      missing.map((name) => `--${name}`),
      TEXT,
    );
  const log: string[] = [];
  const path = `${one(values, "output_path")!}.log`;
  try {
    await work(values, new Tools(output, log));
  } finally {
    if (log.length > 0) writeLog(path, log, output);
  }
}

function writeLog(path: string, log: readonly string[], output: Output): void {
  try {
    writeFileSync(path, log.map((line) => `${line}\n`).join(""));
  } catch (error) {
    output.tell(`warning: ${path}: the log cannot be written (${reasonOf(error)})`);
  }
}

/** The command line, then what the cfg file has beside it. Throws UsageError. */
function valuesOf(words: readonly string[], output: Output): Values {
  const parsed = parseWords(words, TEXT);
  const values = new Map([...parsed.repeated].map(([name, all]) => [name.slice(2), all.map((each) => each[0] ?? "")]));
  const config = values.get("config")?.at(-1);
  if (config !== undefined) {
    for (const [key, value] of readSection(config, "one-quantize")) {
      const option = OPTIONS[`--${key}`];
      if (!option) output.tell(`warning: ${config}: "${key}" is no option of one-quantize; it is left out, as in ONE`);
      // An option without words is on, unless the file says that it is not; an empty value is none.
      else if (value === "" || (option.words === 0 && /^false$/i.test(value))) continue;
      else if (SEVERAL.includes(key)) values.set(key, [...(values.get(key) ?? []), value]);
      else if (!values.has(key)) values.set(key, [value]);
    }
  }
  const solver = Object.keys(SOLVER).find((name) => values.has(name.slice(2)));
  if (solver && !values.has("ampq")) throw new UsageError(`${solver}: add --ampq, or leave it out`);
  return values;
}

/** The last value of an option. */
function one(values: Values, name: string): string | undefined {
  return values.get(name)?.at(-1);
}

/** Options that are handed on under the same name. */
function same(values: Values, ...names: string[]): string[] {
  return names.flatMap((name) => {
    const value = one(values, name);
    if (value === undefined) return [];
    return OPTIONS[`--${name}`]!.words === 0 ? [`--${name}`] : [`--${name}`, value];
  });
}

/** In ONE's order: mixed precision first, then parameters, rounding, integers, else all steps. */
async function work(values: Values, steps: Tools): Promise<void> {
  const from = one(values, "input_model_dtype") ?? one(values, "input_dtype");
  if (values.has("ampq")) return mixedPrecision(values, from ?? "float32", steps);
  const ends = [one(values, "input_path")!, one(values, "output_path")!];
  if (values.has("force_quantparam")) {
    const all = alike(values, "force_quantparam", ["tensor_name", "scale", "zero_point"]);
    return steps.tool("circle-quantizer", [...all.flatMap((each) => ["--force_quantparam", ...each]), ...ends]);
  }
  if (values.has("copy_quantparam")) {
    const all = alike(values, "copy_quantparam", ["src_tensor_name", "dst_tensor_name"]);
    return steps.tool("circle-quantizer", [...all.flatMap((each) => ["--copy_quantparam", ...each]), ...ends]);
  }
  if (values.has("fake_quantize")) return steps.tool("circle-quantizer", ["--fake_quantize", ...ends]);
  if (values.has("requantize")) {
    const to = one(values, "quantized_dtype");
    if (from === undefined || to === undefined)
      throw new UsageError("--requantize: needs --input_model_dtype int8 and --quantized_dtype uint8; see --help");
    return steps.tool("circle-quantizer", ["--requantize", from, to, ...ends]);
  }
  await threeSteps(values, from ?? "float32", steps);
}

/** Values of options that come in rows. Throws UsageError where one is given more often than another. */
function alike(values: Values, mode: string, names: readonly string[]): string[][] {
  const columns = names.map((name) => values.get(name) ?? []);
  const [first] = columns;
  if (first!.length === 0 || columns.some(({ length }) => length !== first!.length))
    throw new UsageError(
      `--${mode}: needs ${names.map((name) => `--${name}`).join(" and ")}, each as often (got ${columns.map(({ length }) => length).join(", ")})`,
    );
  return first!.map((_, i) => columns.map((column) => column[i]!));
}

async function threeSteps(values: Values, from: string, steps: Tools): Promise<void> {
  const input = one(values, "input_path")!;
  const result = one(values, "output_path")!;
  const config = one(values, "quant_config");
  const defaults = config === undefined ? {} : defaultsOf(config);
  const scheme = [
    from,
    one(values, "quantized_dtype") ?? defaults.default_quantization_dtype ?? "uint8",
    one(values, "granularity") ?? defaults.default_granularity ?? "layer",
  ];
  choice("--input_model_dtype", scheme[0]!, { float32: true });
  choice("--quantized_dtype", scheme[1]!, ONE_SCHEMES);
  choice("--granularity", scheme[2]!, GRANULARITIES);
  checkEvaluation(values);
  const layers = config === undefined ? [] : ["--config", config];
  const profile = same(values, "generate_profile_data");
  const between = placesOf(values, steps);
  try {
    const rounded = between("weights_fake_quant");
    await steps.tool("circle-quantizer", [
      "--quantize_dequantize_weights",
      ...scheme,
      ...layers,
      input,
      rounded,
      ...profile,
    ]);
    const recorded = between("minmax_recorded");
    await record(values, rounded, recorded, steps);
    await steps.tool("circle-quantizer", [
      ...["--quantize_with_minmax", ...scheme],
      ...same(values, "TF-style_maxpool", "input_type", "output_type"),
      ...[...layers, recorded, result, ...profile],
    ]);
    await evaluate(values, between, steps);
  } finally {
    steps.close();
  }
}

/** ONE's other way: ranges of the model as it is, without rounded weights, and the solver on them (§5.9). */
async function mixedPrecision(values: Values, from: string, steps: Tools): Promise<void> {
  const [input, result] = [one(values, "input_path")!, one(values, "output_path")!];
  choice("--input_model_dtype", from, { float32: true });
  if (values.has("quant_config"))
    throw new UsageError("--quant_config: the solver of --ampq chooses layers itself; leave one of the two out");
  const algorithm = choice("--ampq_algorithm", one(values, "ampq_algorithm") ?? "bisection", ALGORITHMS);
  const bisection = choice("--bisection_type", one(values, "bisection_type") ?? "auto", BISECTIONS);
  const isBisection = algorithm === "--bisection";
  checkEvaluation(values);
  const between = placesOf(values, steps);
  const data = one(values, "input_data");
  const format = one(values, "input_data_format");
  const formatWords = format === undefined ? [] : ["--data_format", format];
  try {
    const recorded = between("minmax_recorded");
    const given = one(values, "ampq_bisection_visq");
    const ownVisq = isBisection && bisection === "auto" && given === undefined;
    const visq = ownVisq ? between("tae.visq", "json") : given;
    const words = [
      ...["--input_model", recorded, "--output_model", result],
      ...(isBisection ? ["--bisection", bisection] : ["--patterns"]),
      ...(isBisection && visq !== undefined ? ["--visq_file", visq] : []),
      ...(data === undefined ? [] : ["--data", data, ...formatWords]),
      ...renamed(values, {
        ampq_qerror_ratio: "--qerror_ratio",
        input_type: "--input_dtype",
        output_type: "--output_dtype",
      }),
      ...same(values, "quantized_dtype", "granularity", "TF-style_maxpool"),
      ...same(values, "u8_layernorm_with_s16_variance", "u8_softmax_with_s16_sub_exp"),
      ...(values.has("save_intermediate") ? ["--save_intermediate", dirname(result)] : []),
    ];
    // Before samples run, which may take minutes.
    (await import("./circle-mpqsolver.ts")).checkWords(words);
    await record(values, input, recorded, steps);
    if (ownVisq) {
      const rounded = between("visq.q8");
      await steps.tool("circle-quantizer", [
        ...["--quantize_with_minmax", "float32", "uint8", "channel"],
        ...same(values, "TF-style_maxpool"),
        ...["--input_type", "uint8", "--output_type", "uint8", recorded, rounded],
      ]);
      await steps.tool("visq", [
        ...["--fp32_circle", input, "--q_circle", rounded, "--tae_output", visq!, "--batch_size", "1"],
        ...(data === undefined ? [] : ["--data", data, ...formatWords]),
        // Kept beside the JSON file, or not asked for.
        ...(values.has("save_intermediate") ? ["--dump_dot_graph"] : []),
      ]);
    }
    await steps.tool("circle-mpqsolver", words);
    await evaluate(values, between, steps);
  } finally {
    steps.close();
  }
}

/** Options that are handed on under another name. */
function renamed(values: Values, names: Readonly<Record<string, string>>): string[] {
  return Object.entries(names).flatMap(([name, other]) => {
    const value = one(values, name);
    return value === undefined ? [] : [other, value];
  });
}

/** Where files between the steps lie: beside the output, called by the model. */
function placesOf(values: Values, steps: Tools): (what: string, ending?: string) => string {
  const input = one(values, "input_path")!;
  const stem = join(dirname(one(values, "output_path")!), basename(input, extname(input)));
  const keep = values.has("save_intermediate");
  return (what, ending = "circle") => steps.place(`${stem}.${what}.${ending}`, keep, input);
}

function record(values: Values, model: string, recorded: string, steps: Tools): Promise<void> {
  const how = ["min_percentile", "max_percentile", "moving_avg_batch", "moving_avg_const", "mode"];
  return steps.tool("record-minmax", [
    ...["--input_model", model, "--output_model", recorded],
    ...same(values, "input_data", "input_data_format", ...how, "generate_profile_data"),
  ]);
}

/** Told before anything is run. */
function checkEvaluation(values: Values): void {
  const format = one(values, "input_data_format");
  if (values.has("evaluate_result") && values.has("test_data") && format !== undefined)
    choice("--input_data_format (of --test_data)", format, EVAL_FORMATS);
}

/** Compares the result, fake-quantized, with the input, where that is asked for. */
async function evaluate(values: Values, between: (what: string) => string, steps: Tools): Promise<void> {
  if (!values.has("evaluate_result")) return;
  const data = one(values, "test_data");
  const fake = between("fake_quant");
  await steps.tool("circle-quantizer", ["--fake_quantize", one(values, "output_path")!, fake]);
  await steps.tool("circle-eval-diff", [
    ...["--first_model", one(values, "input_path")!, "--second_model", fake],
    ...(data === undefined ? [] : ["--first_input_data", data, "--second_input_data", data]),
    ...(data === undefined ? [] : same(values, "input_data_format")),
    ...same(values, ...METRICS.map((name) => name.slice(2))),
  ]);
}

/** What a file of layer settings says of the whole model (§5.8). */
function defaultsOf(path: string): { default_quantization_dtype?: string; default_granularity?: string } {
  return readJson(path) as ReturnType<typeof defaultsOf>;
}

/** The fronts that this one calls by their names; loaded when they are called. */
class Tools extends Steps {
  async tool(name: keyof typeof TOOLS, words: readonly string[]): Promise<void> {
    await this.call(name, words, await TOOLS[name]());
  }
}

const TOOLS = {
  "circle-quantizer": async (): Promise<Tool> => (await import("./circle-quantizer.ts")).runCircleQuantizer,
  "record-minmax": async (): Promise<Tool> => (await import("./record-minmax.ts")).runRecordMinmax,
  "circle-eval-diff": async (): Promise<Tool> => (await import("./circle-eval-diff.ts")).runCircleEvalDiff,
  visq: async (): Promise<Tool> => (await import("./visq.ts")).runVisq,
  "circle-mpqsolver": async (): Promise<Tool> => (await import("./circle-mpqsolver.ts")).runCircleMpqsolver,
};

export const FRONT = { text: TEXT, run: runOneQuantize, help: HELP };
