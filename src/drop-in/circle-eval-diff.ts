/**
 * The drop-in front of ONE's `circle-eval-diff` (§8.1): two models, each with its own data, and metrics of their outputs in float32
 * arithmetic as there (src/compare/eval-diff.ts).
 *
 * A quantized model runs as its fake-quantized float model: its integer inputs are dequantized before it, its outputs quantized again behind
 * it, and integer outputs are compared as integers, as in ONE. One worker runs all records, because float32 sums depend on their order.
 */
import { accessSync, constants } from "node:fs";
import { dirname } from "node:path";
import { FileError, MinmaxqError, Problems, reasonOf, UsageError } from "../base/errors.ts";
import type { Output } from "../base/output.ts";
import { type DataSet, type InputSpec, openDataSet } from "../calibration/index.ts";
import { inputText, sameShape, sized } from "../calibration/inputs.ts";
import { outputPairs } from "../compare/compare.ts";
import { EVAL_METRICS, type EvalMetric, type EvalResult } from "../compare/eval-diff.ts";
import { runPairs } from "../compare/run.ts";
import { openSide } from "../compare/side.ts";
import { about } from "../driver/about.ts";
import { checkInput } from "../driver/paths.ts";
import { type OpenedModel, openModel } from "../model/index.ts";
import {
  COMMON_WORDS,
  choice,
  EVAL_FORMATS,
  type FrontText,
  missingWords,
  parseWords,
  usage,
  type WordOption,
} from "./words.ts";

export const OPTIONS: Readonly<Record<string, WordOption>> = {
  "--first_model": { words: 1, help: "a model (required); float32 or quantized" },
  "--second_model": { words: 1, help: "another with as many outputs of the same shapes and dtypes (required)" },
  "--first_input_data": { words: 1, help: "records for the first model; without both, 3 random ones for both models" },
  "--second_input_data": { words: 1, help: "records for the second model" },
  "--input_data_format": { words: 1, help: "h5 (default), dir or directory" },
  "--dump_output_with_prefix": { words: 1, help: "P: write raw outputs to P.<record>.first.output<k> and P.…second…" },
  "--print_mae": { words: 0, help: "mean absolute error" },
  "--print_mape": { words: 0, help: "mean absolute percentage error" },
  "--print_mpeir": { words: 0, help: "mean peak error to interval ratio" },
  "--print_top1_match": { words: 0, help: "mean top-1 match ratio" },
  "--print_top5_match": { words: 0, help: "mean top-5 match ratio" },
  "--print_mse": { words: 0, help: "mean squared error" },
  ...COMMON_WORDS,
};

const DTYPES: readonly string[] = ["FLOAT32", "UINT8", "INT16"];

const TEXT: FrontText = {
  name: "circle-eval-diff",
  positionals: "",
  options: OPTIONS,
  example:
    "--first_model a.circle --second_model b.circle --first_input_data a.h5 --second_input_data b.h5 --print_mae",
};

export const HELP = () => usage(TEXT);

export async function runCircleEvalDiff(words: readonly string[], output: Output): Promise<void> {
  const parsed = parseWords(words, TEXT);
  const text = (name: string) => parsed.options.get(name)?.[0];
  const missing = ["--first_model", "--second_model"].filter((name) => !text(name));
  if (missing.length > 0) throw missingWords(missing, TEXT);
  const locations = [text("--first_input_data"), text("--second_input_data")] as const;
  if ((locations[0] === undefined) !== (locations[1] === undefined))
    throw new UsageError("--first_input_data and --second_input_data: give both or neither");
  const format = choice("--input_data_format", text("--input_data_format") ?? "h5", EVAL_FORMATS);
  const metrics = EVAL_METRICS.filter((metric) => parsed.options.has(OPTION_OF[metric]));
  const dumpPrefix = text("--dump_output_with_prefix");
  if (dumpPrefix !== undefined) checkFolder(dumpPrefix);
  const paths = [text("--first_model")!, text("--second_model")!] as const;
  for (const path of paths) checkInput(path);
  const opened: OpenedModel[] = [];
  const data: DataSet[] = [];
  try {
    for (const path of paths) opened.push(openModel(path));
    const [first, second] = [
      await about(paths[0], () => openSide(opened[0]!, true)),
      await about(paths[1], () => openSide(opened[1]!, true)),
    ];
    const pairs = outputPairs([first, second], true);
    const problems = new Problems();
    for (const [{ name, dtype }] of pairs) {
      if (!DTYPES.includes(dtype)) problems.add(`output "${name}": is ${dtype}; ${DTYPES.join(", ")} can be compared`);
    }
    problems.throwIfAny("outputs that cannot be compared");
    const random = locations[0] === undefined;
    if (random) checkSameInputs(first.inputs, second.inputs);
    data.push(
      await openDataSet(locations[0] ?? "random", ofDeclaredSize(first.inputs), {
        format: random ? undefined : format,
      }),
    );
    if (!random) data.push(await openDataSet(locations[1]!, ofDeclaredSize(second.inputs), { format }));
    const ends = await runPairs([first, second], pairs, joined(data), {
      measure: "eval-diff",
      ownInputs: !random,
      workers: 1,
      dumpPrefix,
      onProgress: output.progress("comparing", "samples"),
    });
    const results = ends[0] as EvalResult[];
    const names = pairs.map(([{ name }]) => name);
    for (const metric of metrics) for (const line of linesOf(metric, names, results)) output.print(line);
  } finally {
    for (const each of [...data, ...opened]) each.close();
  }
}

const OPTION_OF: Readonly<Record<EvalMetric, string>> = {
  mae: "--print_mae",
  mape: "--print_mape",
  mpeir: "--print_mpeir",
  top1: "--print_top1_match",
  top5: "--print_top5_match",
  mse: "--print_mse",
};

const TEXTS: Readonly<Record<EvalMetric, readonly [title: string, each: string, unit: string]>> = {
  mae: ["Mean Absolute Error (MAE)", "MAE", ""],
  mape: ["Mean Absolute Percentage Error (MAPE)", "MAPE", "%"],
  mpeir: ["Mean Peak Error to Interval Ratio (MPEIR)", "MPEIR", ""],
  top1: ["Mean Top-1 match ratio", "Top-1 match ratio", ""],
  top5: ["Mean Top-5 match ratio", "Top-5 match ratio", ""],
  mse: ["Mean Squared Error (MSE)", "MSE", ""],
};

function linesOf(metric: EvalMetric, names: readonly string[], results: readonly EvalResult[]): string[] {
  const [title, each, unit] = TEXTS[metric];
  return [
    title,
    ...results.map((result, i) => {
      const value = result[metric];
      return value === null
        ? `${each} for ${names[i]} is skipped: it has too few elements`
        : `${each} for ${names[i]} is ${sixDigits(value)}${unit}`;
    }),
  ];
}

/** A float as C++ streams print it: six significant digits, exponents of two digits. */
export function sixDigits(value: number): string {
  if (!Number.isFinite(value)) return String(value).replace("Infinity", "inf").replace("NaN", "nan");
  if (value === 0) return "0";
  const [digits, exponent] = value.toExponential(5).split("e") as [string, string];
  const power = Number(exponent);
  if (power >= -4 && power < 6) return String(Number(value.toPrecision(6)));
  const sign = power < 0 ? "-" : "+";
  return `${digits.replace(/\.?0+$/, "")}e${sign}${String(Math.abs(power)).padStart(2, "0")}`;
}

/** The reference runs models in the sizes that they declare, 1 where they leave one open. */
function ofDeclaredSize(inputs: readonly InputSpec[]): InputSpec[] {
  return inputs.map((input) => sized(input, input.shape));
}

/** Records of both data sets, one behind the other. Throws MinmaxqError when one is longer. */
function joined(sets: readonly DataSet[]): DataSet {
  const [first, second] = sets;
  if (!second) return first!;
  if (first!.count !== second.count)
    throw new MinmaxqError(
      `the data sets are of unequal length: ${first!.description} and ${second.description}; each record of one needs its counterpart`,
    );
  return {
    description: `${first!.description} and ${second.description}`,
    count: first!.count,
    async *records() {
      const others = second.records()[Symbol.asyncIterator]();
      try {
        for await (const record of first!.records()) {
          const other = await others.next();
          yield [...record, ...(other.done ? [] : other.value)];
        }
      } finally {
        await others.return?.();
      }
    },
    close() {},
  };
}

function checkSameInputs(first: readonly InputSpec[], second: readonly InputSpec[]): void {
  const text = (inputs: readonly InputSpec[]) => inputs.map(inputText).join(", ") || "none";
  const same =
    first.length === second.length &&
    first.every((input, i) => input.dtype === second[i]!.dtype && sameShape(input.shape, second[i]!.shape));
  if (!same)
    throw new MinmaxqError(
      `random data need equal inputs, but the first model has ${text(first)}, the second ${text(second)}; give --first_input_data and --second_input_data`,
    );
}

function checkFolder(prefix: string): void {
  const folder = dirname(prefix);
  try {
    accessSync(folder, constants.W_OK);
  } catch (error) {
    throw new FileError(prefix, `the folder ${folder} cannot be written (${reasonOf(error)})`, { cause: error });
  }
}

export const FRONT = { text: TEXT, run: runCircleEvalDiff, help: HELP };
