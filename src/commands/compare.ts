/** `minmaxq compare`: runs a float and a quantized model on the same samples and says how far they are apart. */

import { FileError, reasonOf, UsageError } from "../base/errors.ts";
import type { Output } from "../base/output.ts";
import { counted } from "../base/text.ts";
import { type DataSet, type InputSpec, isOpen, openDataSet, openSizeText, withShapesOf } from "../calibration/index.ts";
import { asIs } from "../compare/as-is.ts";
import { type Comparison, compareModels } from "../compare/compare.ts";
import { brokenLimits, holdTo } from "../compare/limits.ts";
import { hasIntegers, openSide, type Side, type SidePart } from "../compare/side.ts";
import { visqFile } from "../compare/visq.ts";
import { about } from "../driver/about.ts";
import { checkInput, checkReport } from "../driver/paths.ts";
import type { SampleSource } from "../driver/settings.ts";
import { defaultPart, signatureNamed } from "../driver/signatures.ts";
import { type Dialect, type Model, type OpenedModel, openModel, signaturesOf } from "../model/index.ts";
import { sourcesOf } from "../options/sources.ts";
import type { OptionValues } from "../options/values.ts";
import { coloursFor, columnsOf } from "../terminal/streams.ts";
import { wrapped } from "../terminal/table.ts";
import { compareLines } from "../views/compare.ts";
import type { Command } from "./command.ts";

/** Below the help. */
const METRICS_HELP = [
  "Metrics, a of the float model and b of the quantized one:",
  "  SQNR    signal against error in dB, Σa² / Σ(a−b)²; 6 dB are one bit, 40 are",
  "          good for 8 bits, below 20 is poor, below 10 bad; equal: no error",
  "  cosine  1 = same direction, whatever the size: for embeddings",
  "  MAE     mean of |a−b|, in the output's own unit",
  "  MSE     mean of (a−b)²: large errors count more",
  "  MAPE    mean of |a−b|/|a| in percent; little use where values are near 0",
  "  MPEIR   largest |a−b| of a sample against the range of a",
  "  top-1,  how many of the 1 or 5 largest elements are the same ones,",
  "  top-5   from 0 to 1",
  "  drop    with --layers: how much SQNR a layer loses against its worst operand.",
  "          The worst come first; what loses most is what to give more bits.",
] as const;

export const compare: Command = {
  name: "compare",
  summary: "run a float and a quantized model on samples and print their differences",
  positionals: ["float", "quantized"],
  options: [
    "data",
    "dataFormat",
    "signature",
    "inputShape",
    "layers",
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
    "minmaxq compare model.tflite model.q8.circle --data decode=samples.npz",
    "minmaxq compare model.tflite model.int8.tflite --data in.npz --layers --all",
    "minmaxq compare model.tflite q8.circle --data in.h5 --fail-below sqnr=20",
  ],
  notes: METRICS_HELP,
  run,
};

async function run([first, second]: readonly string[], options: OptionValues, output: Output): Promise<void> {
  const paths = [first!, second!] as const;
  for (const path of paths) checkInput(path);
  const source = sourceOf(options);
  if (options.visq !== undefined) checkReport("--visq", options.visq, [...paths, source.location]);
  const opened = paths.map((path) => openModel(path));
  try {
    const sides: Side[] = [];
    const parts = opened.map(({ model }, i) => partOf(model, source, options, paths[i]!));
    for (const [i, model] of opened.entries()) {
      for (const line of model.unknown) output.tell(`warning: ${paths[i]}: ${line}`);
      sides.push(await about(paths[i]!, () => openSide(model, false, false, parts[i])));
    }
    const openData = (inputs: readonly InputSpec[]) => openSamples(inputs, parts[0]!, source, options, output);
    const { side, why } = await secondSide(opened[1]!, sides[1]!, options.runAs, parts[1]!);
    const comparison = await compareModels([sides[0]!, side], openData, {
      layers: options.layers || options.visq !== undefined,
      workers: options.numThreads,
      memoryLimit: options.memoryLimit,
      sequence: options.sequence,
      fastMath: options.fastMath,
      onProgress: output.progress("comparing"),
    });
    const compared = { ...parts[0]!, of: signaturesOf(opened[0]!.model).length };
    print(paths, compared, comparison, opened[1]!.dialect, why, options, output);
    if (options.visq !== undefined) {
      await write(options.visq, visqFile(paths[0], comparison.layers, options.visqMetric));
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

/** The part of a model that is compared. Throws a UsageError where it has none of that name. */
function partOf(model: Model, { signature, location }: SampleSource, options: OptionValues, path: string): SidePart {
  const name = options.signature ?? signature;
  const by = options.signature === undefined ? `${path}: --data ${name}=${location}` : `${path}: --signature ${name}`;
  const found = name === undefined ? defaultPart(model, location) : signatureNamed(model, name, by);
  return { subgraph: found.subgraph, ...(found.name !== undefined && { signature: found.name }) };
}

/** The second model as it is run, and why not as it is. Throws a FileError where it was asked for and cannot be. */
async function secondSide(
  opened: OpenedModel,
  fake: Side,
  how: OptionValues["runAs"],
  part: SidePart,
): Promise<{ side: Side; why?: string }> {
  if (how === "fake" || (how === undefined && !hasIntegers(opened.model))) return { side: fake };
  const side = await asIs(opened, fake, part);
  if (!("reason" in side)) return { side };
  const why = side.reason;
  // A .circle is for another runtime: that needs no reason.
  if (how === "as-is")
    throw new FileError(opened.source.name, `cannot be run as it is: ${why}; leave --run out, or --run fake`, {
      code: "not-as-is",
    });
  return opened.dialect === "tflite" ? { side: fake, why } : { side: fake };
}

/** The samples; made-up ones for inputs of open size are said to mean nothing. */
async function openSamples(
  inputs: readonly InputSpec[],
  { signature }: SidePart,
  { location, format }: SampleSource,
  options: OptionValues,
  output: Output,
): Promise<DataSet> {
  const specs = withShapesOf([{ ...(signature !== undefined && { signature }), inputs }], options.inputShape)[0]!;
  const data = await openDataSet(location, specs, { format });
  if (data.random) for (const input of specs.filter(isOpen)) output.tell(`warning: ${openSizeText(input)}`);
  return data;
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
      broken,
    };
    return output.print(JSON.stringify(facts, null, 2));
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
}

async function write(path: string, content: object): Promise<void> {
  try {
    await Bun.write(path, `${JSON.stringify(content, null, 2)}\n`);
  } catch (error) {
    throw new FileError(path, `cannot be written (${reasonOf(error)})`, { cause: error });
  }
}
