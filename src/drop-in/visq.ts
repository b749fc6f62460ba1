/** The drop-in front of ONE's `visq` (§8.5): errors of tensors of a quantized model as JSON, and as a coloured graph. */
import { writeFileSync } from "node:fs";
import { FileError, reasonOf, UsageError } from "../base/errors.ts";
import type { Output } from "../base/output.ts";
import { type InputSpec, openDataSet } from "../calibration/index.ts";
import { compareModels } from "../compare/compare.ts";
import { openSide } from "../compare/side.ts";
import { VISQ_METRICS, type VisqErrors, type VisqMetric, visqErrors, visqFile } from "../compare/visq.ts";
import { visqDot } from "../compare/visq-dot.ts";
import { about } from "../driver/about.ts";
import { checkInput, checkReport } from "../driver/paths.ts";
import { type OpenedModel, openModel } from "../model/index.ts";
import { workspace } from "../passes/workspace.ts";
import { DEFAULT_SCHEME } from "../rules/schemes.ts";
import { COMMON_WORDS, type FrontText, missingWords, parseWords, usage, type WordOption } from "./words.ts";

const METRIC_TEXTS: Readonly<Record<VisqMetric, string>> = {
  mpeir: "mean of the largest error over the range of the float tensor",
  mse: "mean squared error",
  tae: "sum of absolute errors, mean over samples",
  srmse: "root of the mean squared error, over the scale",
};

const optionOf = (metric: VisqMetric) => `--${metric}_output`;

export const OPTIONS: Readonly<Record<string, WordOption>> = {
  "--fp32_circle": { words: 1, help: "-f; float model (required)" },
  "--q_circle": { words: 1, help: "-q; its quantized form (required)" },
  "--data": { words: 1, help: "-d; samples; without it 3 records of random data" },
  "--data_format": { words: 1, help: "ours: hdf5, list, filelist, directory, dir, npy, npz; h5 by default" },
  ...Object.fromEntries(
    VISQ_METRICS.map((metric) => [optionOf(metric), { words: 1, help: `JSON file to write: ${METRIC_TEXTS[metric]}` }]),
  ),
  "--dump_dot_graph": { words: 0, help: "also write FILE.dot beside each JSON file, for Graphviz" },
  "--batch_size": { words: 1, help: "-b; accepted; results do not depend on it" },
  ...COMMON_WORDS,
};

const TEXT: FrontText = {
  name: "visq",
  positionals: "",
  options: OPTIONS,
  python: true,
  short: { "-f": "--fp32_circle", "-q": "--q_circle", "-d": "--data", "-b": "--batch_size" },
  example: "--fp32_circle model.circle --q_circle model.q8.circle --data samples.h5 --tae_output errors.visq.json",
};

export const HELP = () => usage(TEXT);

export async function runVisq(words: readonly string[], output: Output): Promise<void> {
  const parsed = parseWords(words, TEXT);
  const text = (name: string) => parsed.options.get(name)?.[0];
  const missing = ["--fp32_circle", "--q_circle"].filter((name) => !text(name));
  if (missing.length > 0) throw missingWords(missing, TEXT);
  const wanted = VISQ_METRICS.filter((metric) => text(optionOf(metric)));
  if (wanted.length === 0)
    throw new UsageError(`nothing is asked for; give one or more of ${VISQ_METRICS.map(optionOf).join(", ")}`);
  const batch = text("--batch_size");
  if (batch !== undefined && !(Number.isInteger(Number(batch)) && Number(batch) >= 1))
    throw new UsageError(`--batch_size: "${batch}" is no whole number from 1`);
  const paths = [text("--fp32_circle")!, text("--q_circle")!] as const;
  for (const path of paths) checkInput(path);
  const data = text("--data");
  const dots = parsed.options.has("--dump_dot_graph");
  const taken = new Set<string>();
  for (const metric of wanted) {
    const path = text(optionOf(metric))!;
    for (const each of dots ? [path, `${path}.dot`] : [path]) {
      if (taken.has(each)) throw new UsageError(`${optionOf(metric)}: "${each}" is written already; give another path`);
      taken.add(each);
      checkReport(optionOf(metric), each, [...paths, data]);
    }
  }
  const opened: OpenedModel[] = [];
  try {
    for (const path of paths) opened.push(openModel(path));
    const sides = [
      await about(paths[0], () => openSide(opened[0]!)),
      await about(paths[1], () => openSide(opened[1]!)),
    ] as const;
    const openData = (inputs: readonly InputSpec[]) =>
      openDataSet(data ?? "random", inputs, {
        format: data === undefined ? undefined : (text("--data_format") ?? "h5"),
      });
    const onProgress = output.progress("comparing", "samples");
    const { layers } = await compareModels(sides, openData, { layers: true, onProgress });
    // All of them, before the first is written.
    const files = wanted.map((metric): [string, VisqErrors] => [
      text(optionOf(metric))!,
      visqErrors(paths[0], layers, metric),
    ]);
    const [graph] = dots ? workspace(opened[0]!, DEFAULT_SCHEME, true).graphs : [];
    for (const [path, errors] of files) {
      write(path, `${JSON.stringify(visqFile(errors), null, 2)}\n`);
      if (graph) write(`${path}.dot`, visqDot(graph, errors));
      output.print(`${path}: ${errors.metric} of ${errors.of.size} tensors`);
    }
  } finally {
    for (const model of opened) model.close();
  }
}

function write(path: string, content: string): void {
  try {
    writeFileSync(path, content);
  } catch (error) {
    throw new FileError(path, `cannot be written (${reasonOf(error)}); give another path`, { cause: error });
  }
}

export const FRONT = { text: TEXT, run: runVisq, help: HELP };
