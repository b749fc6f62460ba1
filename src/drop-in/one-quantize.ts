/**
 * The drop-in front of ONE's `one-quantize`, a driver that calls the other tools (§5.9): its arguments, its cfg file, its defaults, its
 * intermediate files, its log. Each step is the front of that tool, so the bits are those of the three tools in a row.
 *
 *     fake-quantize weights ─▶ record ─▶ quantize with min/max  [─▶ fake-quantize the result ─▶ compare with the input]
 */
import { writeFileSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { FileError, MinmaxqError, reasonOf, UsageError } from "../base/errors.ts";
import type { Output } from "../base/output.ts";
import { readText } from "../base/read-text.ts";
import { removeTemporary, temporaryPath } from "../base/temporary.ts";
import { ONE_SCHEMES } from "../rules/schemes.ts";
import { readSection } from "./cfg.ts";
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
/** What belongs to ONE's mixed-precision solver, which has no counterpart here. */
const SOLVER: Readonly<Record<string, number>> = {
  "--ampq": 0,
  "--ampq_qerror_ratio": 1,
  "--ampq_algorithm": 1,
  "--bisection_type": 1,
  "--u8_layernorm_with_s16_variance": 0,
  "--u8_softmax_with_s16_sub_exp": 0,
  "--ampq_bisection_visq": 1,
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
    help: "keep the models between the steps beside the output: INPUT.weights_fake_quant.circle and INPUT.minmax_recorded.circle",
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
  ...COMMON_WORDS,
};

const TEXT: FrontText = {
  name: "one-quantize",
  positionals: "",
  options: OPTIONS,
  example: "-i model.circle -d samples.h5 -o model.q8.circle --granularity channel",
};

const SHORT: Readonly<Record<string, string>> = {
  "-i": "--input_path",
  "-o": "--output_path",
  "-d": "--input_data",
  "-f": "--input_data_format",
  "-p": "--generate_profile_data",
  "-C": "--config",
  "-S": "--section",
  "-V": "--verbose",
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
    await work(values, new Steps(output, log));
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
  const parsed = parseWords(words.flatMap(asLong), { ...TEXT, options: { ...OPTIONS, ...solverOptions() } });
  const values = new Map([...parsed.repeated].map(([name, all]) => [name.slice(2), all.map((each) => each[0] ?? "")]));
  const config = values.get("config")?.at(-1);
  if (config !== undefined) {
    for (const [key, value] of readSection(config, "one-quantize")) {
      const option = OPTIONS[`--${key}`] ?? solverOptions()[`--${key}`];
      if (!option) output.tell(`warning: ${config}: "${key}" is no option of one-quantize; it is left out, as in ONE`);
      // An option without words is on, unless the file says that it is not; an empty value is none.
      else if (value === "" || (option.words === 0 && /^false$/i.test(value))) continue;
      else if (SEVERAL.includes(key)) values.set(key, [...(values.get(key) ?? []), value]);
      else if (!values.has(key)) values.set(key, [value]);
    }
  }
  const solver = Object.keys(SOLVER).find((name) => values.has(name.slice(2)));
  if (solver)
    throw new UsageError(
      `${solver}: belongs to ONE's circle-mpqsolver, which has no counterpart here; name layers in --quant_config`,
    );
  return values;
}

/** `-i` and `--name=value` as the words that they stand for. */
function asLong(word: string): string[] {
  if (Object.hasOwn(SHORT, word)) return [SHORT[word]!];
  const cut = /^(--[\w-]+)=(.*)$/s.exec(word);
  return cut && Object.hasOwn(OPTIONS, cut[1]!) ? [cut[1]!, cut[2]!] : [word];
}

const solverOptions = (): Record<string, WordOption> =>
  Object.fromEntries(Object.entries(SOLVER).map(([name, count]) => [name, { words: count, help: "" }]));

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

/** In ONE's order: parameters first, then rounding, then integers, else all steps. */
async function work(values: Values, steps: Steps): Promise<void> {
  const ends = [one(values, "input_path")!, one(values, "output_path")!];
  if (values.has("force_quantparam")) {
    const all = alike(values, "force_quantparam", ["tensor_name", "scale", "zero_point"]);
    return steps.quantizer([...all.flatMap((each) => ["--force_quantparam", ...each]), ...ends]);
  }
  if (values.has("copy_quantparam")) {
    const all = alike(values, "copy_quantparam", ["src_tensor_name", "dst_tensor_name"]);
    return steps.quantizer([...all.flatMap((each) => ["--copy_quantparam", ...each]), ...ends]);
  }
  if (values.has("fake_quantize")) return steps.quantizer(["--fake_quantize", ...ends]);
  const from = one(values, "input_model_dtype") ?? one(values, "input_dtype");
  if (values.has("requantize")) {
    const to = one(values, "quantized_dtype");
    if (from === undefined || to === undefined)
      throw new UsageError("--requantize: needs --input_model_dtype int8 and --quantized_dtype uint8; see --help");
    return steps.quantizer(["--requantize", from, to, ...ends]);
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

async function threeSteps(values: Values, from: string, steps: Steps): Promise<void> {
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
  const data = one(values, "test_data");
  const format = one(values, "input_data_format");
  // Told before anything is run.
  if (values.has("evaluate_result") && data !== undefined && format !== undefined)
    choice("--input_data_format (of --test_data)", format, EVAL_FORMATS);
  const layers = config === undefined ? [] : ["--config", config];
  const profile = same(values, "generate_profile_data");
  const stem = join(dirname(result), basename(input, extname(input)));
  const keep = values.has("save_intermediate");
  const between = (what: string) => steps.place(`${stem}.${what}.circle`, keep, input);
  try {
    const rounded = between("weights_fake_quant");
    await steps.quantizer(["--quantize_dequantize_weights", ...scheme, ...layers, input, rounded, ...profile]);
    const recorded = between("minmax_recorded");
    const how = ["min_percentile", "max_percentile", "moving_avg_batch", "moving_avg_const", "mode"];
    await steps.record([
      ...["--input_model", rounded, "--output_model", recorded],
      ...same(values, "input_data", "input_data_format", ...how, "generate_profile_data"),
    ]);
    await steps.quantizer([
      ...["--quantize_with_minmax", ...scheme],
      ...same(values, "TF-style_maxpool", "input_type", "output_type"),
      ...[...layers, recorded, result, ...profile],
    ]);
    if (!values.has("evaluate_result")) return;
    const fake = between("fake_quant");
    await steps.quantizer(["--fake_quantize", result, fake]);
    await steps.evaluate([
      ...["--first_model", input, "--second_model", fake],
      ...(data === undefined ? [] : ["--first_input_data", data, "--second_input_data", data]),
      ...(data === undefined ? [] : same(values, "input_data_format")),
      ...same(values, ...METRICS.map((name) => name.slice(2))),
    ]);
  } finally {
    steps.close();
  }
}

/** What a file of layer settings says of the whole model (§5.8). */
function defaultsOf(path: string): { default_quantization_dtype?: string; default_granularity?: string } {
  try {
    return JSON.parse(readText(path));
  } catch (error) {
    throw new FileError(path, `cannot be read as JSON (${reasonOf(error)})`, { cause: error });
  }
}

/** The tools that are called, what they say, and the files between them. */
class Steps {
  /** Hidden models between steps by path: what the log calls them, and the model that they come from. */
  private readonly hidden = new Map<string, { readonly shown: string; readonly input: string }>();

  constructor(
    private readonly output: Output,
    private readonly log: string[],
  ) {}

  /** Where a model between steps is written: to its name, or to a hidden file that is removed at the end, also by a signal. */
  place(path: string, keep: boolean, input: string): string {
    if (keep) return path;
    const place = temporaryPath(path);
    this.hidden.set(place, { shown: path, input });
    return place;
  }

  async quantizer(words: readonly string[]): Promise<void> {
    await this.step("circle-quantizer", words, (await import("./circle-quantizer.ts")).runCircleQuantizer);
  }

  async record(words: readonly string[]): Promise<void> {
    await this.step("record-minmax", words, (await import("./record-minmax.ts")).runRecordMinmax);
  }

  async evaluate(words: readonly string[]): Promise<void> {
    await this.step("circle-eval-diff", words, (await import("./circle-eval-diff.ts")).runCircleEvalDiff);
  }

  /** Removes what is not kept. */
  close(): void {
    for (const path of this.hidden.keys()) removeTemporary(path);
    this.hidden.clear();
  }

  private async step(
    tool: string,
    words: readonly string[],
    run: (words: readonly string[], output: Output) => Promise<void>,
  ): Promise<void> {
    const note = (line: string) => this.log.push(this.named(line, "shown"));
    note([tool, ...words].join(" "));
    const said = (say: (line: string) => void) => (line: string) => {
      note(line);
      say(this.named(line, "input"));
    };
    const { print, tell, progress } = this.output;
    try {
      await run(words, { print: said(print), tell: said(tell), progress });
    } catch (error) {
      note(reasonOf(error));
      throw error instanceof UsageError || !(error instanceof MinmaxqError) ? error : this.ofInput(error);
    }
  }

  /** A text in which no hidden file is named: people know of the model alone, the log tells the steps' files apart. */
  private named(text: string, as: "shown" | "input"): string {
    return [...this.hidden].reduce((all, [path, names]) => all.replaceAll(path, names[as]), text);
  }

  private ofInput(error: MinmaxqError): MinmaxqError {
    const message = this.named(error.message, "input");
    return message === error.message ? error : new MinmaxqError(message, { code: error.code, cause: error });
  }
}

export const FRONT = { text: TEXT, run: runOneQuantize, help: HELP };
