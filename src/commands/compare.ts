/** `minmaxq compare`: runs a float and a quantized model on the same samples and says how far they are apart. */

import { FileError, reasonOf, UsageError } from "../base/errors.ts";
import type { Output } from "../base/output.ts";
import { counted } from "../base/text.ts";
import type { Comparison } from "../compare/compare.ts";
import { brokenLimits, holdTo } from "../compare/limits.ts";
import type { SidePart } from "../compare/side.ts";
import { visqErrors, visqFile } from "../compare/visq.ts";
import { checkInput, checkReport } from "../driver/paths.ts";
import type { SampleSource } from "../driver/settings.ts";
import { type Dialect, openModel, signaturesOf } from "../model/index.ts";
import { compareOpened } from "../options/compare.ts";
import { MEDIA_OPTIONS } from "../options/lists.ts";
import { whyOf } from "../options/search.ts";
import { sourcesOf } from "../options/sources.ts";
import type { OptionValues } from "../options/values.ts";
import type { Diagnosis } from "../search/diagnose.ts";
import { coloursFor, columnsOf } from "../terminal/streams.ts";
import { wrapped } from "../terminal/table.ts";
import { compareLines } from "../views/compare.ts";
import { diagnosisFacts, diagnosisLines } from "../views/diagnose.ts";
import { documentText } from "../views/json.ts";
import type { Command } from "./command.ts";

/** Below the help. */
const METRICS_HELP: NonNullable<Command["notes"]> = [
  "Metrics, a of the float model and b of the quantized one:",
  [
    "SQNR",
    "signal against error in dB, Σa² / Σ(a−b)²; 6 dB are one bit, 40 are good for 8 bits, below 20 is poor, below 10 bad; equal: no error",
  ],
  ["cosine", "1 = same direction, whatever the size: for embeddings"],
  ["MAE", "mean of |a−b|, in the output's own unit"],
  ["MSE", "mean of (a−b)²: large errors count more"],
  ["MAPE", "mean of |a−b|/|a| in percent; little use where values are near 0"],
  ["MPEIR", "largest |a−b| of a sample against the range of a"],
  ["top-1", "how often the largest element is the same one, from 0 to 1"],
  ["top-5", "how many of the 5 largest elements are the same ones, from 0 to 1"],
  [
    "drop",
    "with --layers: how much SQNR a layer loses against its worst operand. The worst come first; what loses most is what to give more bits.",
  ],
];

export const compare: Command = {
  name: "compare",
  summary: "run a float and a quantized model on samples and print their differences",
  positionals: ["float", "quantized"],
  options: [
    "data",
    "dataFormat",
    ...MEDIA_OPTIONS,
    "signature",
    "inputShape",
    "split",
    "layers",
    "why",
    "all",
    "runAs",
    "failBelow",
    "failAbove",
    "visq",
    "visqMetric",
    "json",
    "numThreads",
    "memoryLimit",
    "sequence",
    "fastMath",
  ],
  demands: ["data"],
  examples: [
    "minmaxq compare model.tflite model.q8.circle --data samples.npz",
    "minmaxq compare model.tflite model.q8.circle --data samples/ --layers",
    "minmaxq compare model.tflite model.q8.circle --data samples.npz --why",
    "minmaxq compare model.tflite model.q8.circle --data decode=samples.npz",
    "minmaxq compare model.tflite model.int8.tflite --data in.npz --layers --all",
    "minmaxq compare model.tflite q8.circle --data in.h5 --fail-below sqnr=20",
  ],
  notes: METRICS_HELP,
  run,
};

async function run([first, second]: readonly string[], options: OptionValues, output: Output): Promise<void> {
  const paths = [first!, second!] as const;
  if (options.all && !options.layers && !options.why)
    throw new UsageError("--all: does nothing without --layers or --why; add one of them, or leave it out");
  for (const path of paths) checkInput(path);
  const source = sourceOf(options);
  if (options.visq !== undefined) checkReport("--visq", options.visq, [...paths, source.location]);
  const opened = paths.map((path) => openModel(path));
  try {
    for (const [i, model] of opened.entries())
      for (const line of model.unknown) output.tell(`warning: ${paths[i]}: ${line}`);
    const { comparison, why, part } = await compareOpened([opened[0]!, opened[1]!], paths, source, options, output);
    const compared = { ...part, of: signaturesOf(opened[0]!.model).length };
    const cause = options.why ? await whyOf(paths, source, options, part, output) : undefined;
    print(paths, compared, comparison, opened[1]!.dialect, why, cause, options, output);
    if (options.visq !== undefined) {
      await write(options.visq, visqFile(visqErrors(paths[0], comparison.layers, options.visqMetric)));
      output.tell(`${options.visq}: ${options.visqMetric} of the tensors, for visq`);
    }
    holdTo(comparison.outputs, limitsOf(options));
  } finally {
    for (const model of opened) model.close();
  }
}

/** The samples to compare on, and with `signature` the part of the models that they are for. Throws a UsageError where that is not one. */
function sourceOf(options: OptionValues): SampleSource {
  const sources = sourcesOf(options);
  const [only] = sources;
  if (options.signature === undefined) {
    if (sources.length === 1) return only!;
    const names = sources.map(({ signature }) => signature).filter((name) => name !== undefined);
    throw new UsageError(`--data: one signature at a time is compared; add --signature ${names.join(" or ")}`);
  }
  const found = sources.find(({ signature }) => signature === options.signature);
  // Samples without a name are for the one that was asked for.
  const unnamed = sources.find(({ signature }) => signature === undefined);
  if (found ?? unnamed) return (found ?? unnamed)!;
  throw new UsageError(
    `--signature ${options.signature}: there are no samples for it; give --data ${options.signature}=SAMPLES`,
  );
}

function limitsOf({ failBelow = [], failAbove = [] }: OptionValues) {
  return [...failBelow, ...failAbove];
}

/** What was compared; `of`: how many signatures the first model has. */
type Compared = SidePart & { readonly of: number };

function print(
  paths: readonly [string, string],
  { subgraph, signature, of }: Compared,
  comparison: Comparison,
  dialect: Dialect,
  why: string | undefined,
  cause: Diagnosis | undefined,
  options: OptionValues,
  output: Output,
): void {
  if (options.json) {
    const { records, ran, outputs, layers, notCompared } = comparison;
    const asked = options.layers
      ? { layers: layers.map(({ visq: _, source: _source, ...layer }) => layer), notCompared }
      : {};
    const part = of > 1 ? { signature: signature ?? null, subgraph } : {};
    const broken = brokenLimits(outputs, limitsOf(options));
    const facts = {
      float: paths[0],
      quantized: paths[1],
      ...part,
      samples: records,
      ran,
      ...(why && { notAsItIs: why }),
      outputs,
      ...asked,
      ...(cause && { why: diagnosisFacts(cause) }),
      broken,
    };
    return output.print(documentText("compare", facts));
  }
  const colours = coloursFor(1);
  const other = options.signature === undefined && options.data![0]!.signature === undefined;
  const hint = other ? `, the default one of ${of}; --signature names another` : "";
  const part = of > 1 ? `, signature "${signature}"${hint}` : "";
  const width = columnsOf(1);
  const first = `${colours.bold(paths[0])} and ${colours.bold(paths[1])}, ${counted(comparison.records, "sample")}${part}; the second ${comparison.ran}`;
  for (const line of wrapped(first, width, "  ")) output.print(line);
  if (why) for (const line of wrapped(`  not as it is: ${why}`, width, "    ")) output.print(line);
  const view = { layers: options.layers === true, all: options.all === true, dialect, colours, width };
  for (const line of compareLines(comparison, view)) output.print(line);
  if (cause) for (const line of ["", ...diagnosisLines(cause, view)]) output.print(line);
}

async function write(path: string, content: object): Promise<void> {
  try {
    await Bun.write(path, `${JSON.stringify(content, null, 2)}\n`);
  } catch (error) {
    throw new FileError(path, `cannot be written (${reasonOf(error)})`, { cause: error });
  }
}
