/** Options of `compare` → two models run on the same samples: what the command and a job of a batch share. */
import { FileError } from "../base/errors.ts";
import {
  type DataSet,
  type InputSpec,
  isOpen,
  knownInputs,
  openDataSet,
  openSizeText,
  withRole,
  withShapesOf,
} from "../calibration/index.ts";
import { asIs } from "../compare/as-is.ts";
import { type Comparison, compareModels } from "../compare/compare.ts";
import { hasIntegers, openSide, type Side, type SidePart } from "../compare/side.ts";
import { about } from "../driver/about.ts";
import type { Io } from "../driver/io.ts";
import type { SampleSource } from "../driver/settings.ts";
import { defaultPart, signatureNamed } from "../driver/signatures.ts";
import type { Model, OpenedModel } from "../model/index.ts";
import { mediaOf } from "./settings.ts";
import type { OptionValues } from "./values.ts";

/** What was compared, and how. */
export interface Compared {
  readonly comparison: Comparison;
  /** Why the second model was not run as it is. */
  readonly why?: string;
  /** The part of the first model. */
  readonly part: SidePart;
}

/**
 * Runs two opened models on the samples of one signature, on the first `most` where that is given. Throws a MinmaxqError: models that do not
 * fit together or cannot be run, data that cannot be read.
 */
export async function compareOpened(
  opened: readonly [OpenedModel, OpenedModel],
  paths: readonly [string, string],
  source: SampleSource,
  options: OptionValues,
  io: Io,
  most?: number,
): Promise<Compared> {
  const sides: Side[] = [];
  const parts = opened.map(({ model }, i) => partOf(model, source, options, paths[i]!));
  for (const [i, model] of opened.entries())
    sides.push(await about(paths[i]!, () => openSide(model, false, false, parts[i])));
  const told = new Set<string>();
  const openData = async (inputs: readonly InputSpec[]) => {
    const data = await openSamples(inputs, opened[0].model, parts[0]!, source, options, told, io);
    return most === undefined ? data : firstOf(data, most);
  };
  const { side, why } = await secondSide(opened[1], sides[1]!, options.runAs, parts[1]!);
  const comparison = await compareModels([sides[0]!, side], openData, {
    layers: options.layers || options.visq !== undefined,
    workers: options.numThreads,
    memoryLimit: options.memoryLimit,
    sequence: options.sequence,
    fastMath: options.fastMath,
    onProgress: io.progress("comparing", "samples"),
  });
  return { comparison, ...(why !== undefined && { why }), part: parts[0]! };
}

/** The data set without what comes after its first `most` records. */
function firstOf(data: DataSet, most: number): DataSet {
  if (data.count <= most) return data;
  return {
    ...data,
    count: most,
    ...(data.shapes && { shapes: (record: number) => data.shapes!(record) }),
    async *records() {
      let left = most;
      for await (const record of data.records()) {
        yield record;
        if (--left === 0) return;
      }
    },
    close: () => data.close(),
  };
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

/** The samples, and what is to be told of them, once: they may be opened several times. Made-up ones for inputs of open size mean nothing. */
async function openSamples(
  inputs: readonly InputSpec[],
  model: Model,
  { signature, subgraph }: SidePart,
  { location, format }: SampleSource,
  options: OptionValues,
  told: Set<string>,
  io: Io,
): Promise<DataSet> {
  const specs = withShapesOf([{ ...(signature !== undefined && { signature }), inputs }], options.inputShape)[0]!;
  const data = await openDataSet(location, specs, {
    format,
    media: { settings: mediaOf(options), known: knownInputs(model, subgraph), onProgress: io.progress("reading") },
    // Samples of other signatures may be the pictures that options are for.
    shared: options.data!.length > 1,
  });
  const lines = (data.said ?? []).map(({ kind, text }) => `${kind}: ${text}`);
  if (data.random) lines.push(...specs.filter(isOpen).map((input) => `warning: ${openSizeText(input)}`));
  for (const line of lines) if (!told.has(line)) io.tell(line);
  for (const line of lines) told.add(line);
  return options.split === undefined ? data : withRole(data, { share: options.split, take: "held" });
}
