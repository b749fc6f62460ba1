/** `minmaxq compare`: runs a float and a quantized model on the same samples and says how far they are apart. */

import { FileError, reasonOf } from "../base/errors.ts";
import type { Output } from "../base/output.ts";
import { counted } from "../base/text.ts";
import { type DataSet, type InputSpec, isOpen, openDataSet, openSizeText, withShapes } from "../calibration/index.ts";
import { asIs } from "../compare/as-is.ts";
import { type Comparison, compareModels } from "../compare/compare.ts";
import { brokenLimits, holdTo } from "../compare/limits.ts";
import { hasIntegers, openSide, type Side } from "../compare/side.ts";
import { table } from "../compare/table.ts";
import { visqFile } from "../compare/visq.ts";
import { about } from "../driver/about.ts";
import { checkInput, checkReport } from "../driver/paths.ts";
import { type OpenedModel, openModel } from "../model/index.ts";
import type { OptionValues } from "../options/values.ts";
import { coloursFor } from "../terminal/streams.ts";
import type { Command } from "./command.ts";

export const compare: Command = {
  name: "compare",
  summary: "run a float and a quantized model on samples and print their differences",
  positionals: ["float", "quantized"],
  options: [
    "data",
    "dataFormat",
    "inputShape",
    "layers",
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
    "minmaxq compare model.tflite model.q8.circle --data samples.h5 --fail-below sqnr=20,cosine=0.99",
  ],
  run,
};

async function run([first, second]: readonly string[], options: OptionValues, output: Output): Promise<void> {
  const paths = [first!, second!] as const;
  for (const path of paths) checkInput(path);
  if (options.visq !== undefined) checkReport("--visq", options.visq, [...paths, options.data]);
  const opened = paths.map((path) => openModel(path));
  try {
    const sides: Side[] = [];
    for (const [i, model] of opened.entries()) {
      for (const line of model.unknown) output.tell(`warning: ${paths[i]}: ${line}`);
      sides.push(await about(paths[i]!, () => openSide(model)));
    }
    const { side, why } = await secondSide(opened[1]!, sides[1]!, options.runAs);
    const comparison = await compareModels([sides[0]!, side], (inputs) => openSamples(inputs, options, output), {
      layers: options.layers || options.visq !== undefined,
      workers: options.numThreads,
      memoryLimit: options.memoryLimit,
      sequence: options.sequence,
      fastMath: options.fastMath,
      onProgress: output.progress("comparing", "samples"),
    });
    print(paths, comparison, why, options, output);
    if (options.visq !== undefined) {
      await write(options.visq, visqFile(paths[0], comparison.layers, options.visqMetric));
      output.tell(`${options.visq}: ${options.visqMetric} of the tensors, for visq`);
    }
    holdTo(comparison.outputs, limitsOf(options));
  } finally {
    for (const model of opened) model.close();
  }
}

/** The second model as it is run, and why not as it is. Throws a FileError where it was asked for and cannot be. */
async function secondSide(
  opened: OpenedModel,
  fake: Side,
  how: OptionValues["runAs"],
): Promise<{ side: Side; why?: string }> {
  if (how === "fake" || (how === undefined && !hasIntegers(opened.model))) return { side: fake };
  const side = await asIs(opened, fake);
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
async function openSamples(inputs: readonly InputSpec[], options: OptionValues, output: Output): Promise<DataSet> {
  const specs = withShapes(inputs, options.inputShape);
  const data = await openDataSet(options.data!, specs, { format: options.dataFormat });
  if (data.random) for (const input of specs.filter(isOpen)) output.tell(`warning: ${openSizeText(input)}`);
  return data;
}

function limitsOf({ failBelow = [], failAbove = [] }: OptionValues) {
  return [...failBelow, ...failAbove];
}

function print(
  paths: readonly [string, string],
  comparison: Comparison,
  why: string | undefined,
  options: OptionValues,
  output: Output,
): void {
  if (options.json) {
    const { records, ran, outputs, layers, notCompared } = comparison;
    const asked = options.layers ? { layers: layers.map(({ visq: _, ...layer }) => layer), notCompared } : {};
    const broken = brokenLimits(outputs, limitsOf(options));
    const facts = {
      float: paths[0],
      quantized: paths[1],
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
  output.print(
    `${colours.bold(paths[0])} and ${colours.bold(paths[1])}, ${counted(comparison.records, "sample")}; the second ${comparison.ran}`,
  );
  if (why) output.print(`  not as it is: ${why}`);
  for (const line of table(comparison, options.layers === true, colours)) output.print(line);
}

async function write(path: string, content: object): Promise<void> {
  try {
    await Bun.write(path, `${JSON.stringify(content, null, 2)}\n`);
  } catch (error) {
    throw new FileError(path, `cannot be written (${reasonOf(error)})`, { cause: error });
  }
}
