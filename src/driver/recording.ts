/** Recording ranges for a model: what the flows of `quantize` and `record` share. */
import { FileError, MinmaxqError } from "../base/errors.ts";
import { counted, firstOf } from "../base/text.ts";
import type { DataSet, InputSpec, RecordedRange, RecordOptions, Reduction } from "../calibration/index.ts";
import type { Shapes } from "../calibration/inputs.ts";
import type { MomentRequest } from "../calibration/moments/request.ts";
import { expectedInputs, type Fill, type Model } from "../model/index.ts";
import type { Note } from "../passes/context.ts";
import type { Io } from "./io.ts";
import type { RecordedFrom } from "./report.ts";
import { SampleFacts } from "./sample-facts.ts";
import type { Samples } from "./settings.ts";
import type { Fed } from "./signatures.ts";

export interface Recording {
  /** Ranges by subgraph and tensor index: of the subgraphs that samples are for, and of those that they run. */
  readonly bySubgraph: ReadonlyMap<number, ReadonlyMap<number, RecordedRange>>;
  readonly from: RecordedFrom;
  /** What the Report says of a subgraph's ranges: "percentile 1–99 of 16 samples". */
  readonly howOf: ReadonlyMap<number, string>;
  /** Shapes of the first sample's inputs of the first subgraph, where the model leaves them open. */
  readonly shapes?: Shapes;
  /** Warnings about the samples. */
  readonly notes: readonly Note[];
  /** By subgraph, positions of inputs with −FLT_MAX in a sample: a range passes it over (reference §7.3), a mask means it. */
  readonly passedOver: readonly { readonly subgraph: number; readonly position: number }[];
}

/** Samples of a subgraph while they are open. */
export interface OpenSamples {
  readonly fed: Fed;
  readonly specs: readonly InputSpec[];
  readonly data: DataSet;
  readonly facts: SampleFacts;
}

/**
 * Runs the subgraphs of the model that samples are for, one after the other. `fill` computes contents that the model only describes;
 * `more` is wanted beside ranges.
 * Throws a MinmaxqError.
 */
export async function recordSamples(
  model: Model,
  samples: Samples,
  feds: readonly Fed[],
  io: Io,
  fill?: Fill,
  more: {
    /** What is gathered beside ranges of so many samples. */
    moments?(samples: number): MomentRequest;
    /** Told of each tensor what its range is reduced from. */
    onExtremes?: RecordOptions["onExtremes"];
    /** Looks at the records of a set of samples while they are read. */
    watch?(run: number, data: DataSet): DataSet;
  } = {},
): Promise<Recording> {
  // Loaded here: a run on recorded ranges needs nothing of it.
  const calibration = await import("../calibration/index.ts");
  const { checkReduction, recordRuns } = calibration;
  const { reduction, workers, memoryLimit, fastMath, sequence } = samples;
  checkReduction(reduction);
  const several = feds.length > 1;
  const open: OpenSamples[] = [];
  try {
    await openAll(model, samples, feds, open, io);
    const runs = open.map(({ fed: { subgraph, signature }, data, facts }, run) => ({
      subgraph,
      data: more.watch ? more.watch(run, facts.watch(data)) : facts.watch(data),
      onProgress: io.progress(several ? `recording ${signature ?? subgraph}` : "recording", "samples"),
    }));
    const bySubgraph = await recordRuns(model, runs, {
      reduction,
      workers,
      memoryLimit,
      fastMath,
      sequence,
      onRanges: io.progress("finding ranges", "tensors"),
      onUnobserved: (names) =>
        io.tell(
          `warning: not recorded, because no sample shows them (a branch that is not taken, a result without elements): ${firstOf(names.map((name) => `"${name}"`))}`,
        ),
      fill,
      onExtremes: more.onExtremes,
      moments: more.moments?.(open.reduce((sum, { data }) => sum + data.count, 0)),
    });
    const how = reductionText(reduction);
    return {
      bySubgraph,
      from: fromOf(how, open),
      howOf: howOf(how, open),
      shapes: open.find(({ fed }) => fed.subgraph === 0)?.data.shapes?.(0),
      notes: open.flatMap((each) => notesOf(each, several, calibration)),
      passedOver: open.flatMap(({ fed: { subgraph }, facts }) =>
        facts.withLowest().map((position) => ({ subgraph, position })),
      ),
    };
  } catch (error) {
    // Tensors without a number follow from inputs without one: those are the cause.
    const broken = open.find(({ facts }) => facts.notFinite().length > 0);
    if (!(error instanceof MinmaxqError) || !broken) throw error;
    throw new FileError(broken.fed.source.location, broken.facts.notFinite().join("; "), { cause: error });
  } finally {
    for (const { data } of open) data.close();
  }
}

/** Opens the samples of all subgraphs; what is open is in `open` also when one cannot be. `io` shows how far it is. */
export async function openAll(
  model: Model,
  { media, inputShapes, held }: Pick<Samples, "media" | "inputShapes" | "held">,
  feds: readonly Fed[],
  open: OpenSamples[],
  io?: Io,
): Promise<void> {
  const { inputSpecs, knownInputs, openDataSet, refuseUseless, scaledInputs, withRole, withShapesOf } = await import(
    "../calibration/index.ts"
  );
  const parts = feds.map(({ subgraph, signature }) => ({
    ...(signature !== undefined && { signature }),
    inputs: inputSpecs(model, subgraph, signature),
  }));
  const shaped = withShapesOf(parts, inputShapes);
  for (const [i, fed] of feds.entries()) {
    const { source, subgraph, signature } = fed;
    const specs = shaped[i]!;
    const all = await openDataSet(source.location, specs, {
      format: source.format,
      ...(media && {
        media: {
          settings: media,
          known: knownInputs(model, subgraph),
          onProgress: io?.progress(feds.length > 1 ? `reading ${signature ?? subgraph}` : "reading"),
        },
        // Pictures for one signature, arrays for another.
        shared: true,
      }),
    });
    const data = held ? withRole(all, held) : all;
    const facts = new SampleFacts(specs, expectedInputs(model, subgraph), scaledInputs(model, subgraph));
    open.push({ fed, specs, data, facts });
  }
  if (media)
    refuseUseless(
      media,
      open.map(({ fed, data }) => ({ ...fed.source, data })),
    );
}

/** How many samples there are, of all subgraphs together; none is run. Throws a MinmaxqError where they do not fit the model. */
export async function countSamples(model: Model, samples: Samples, feds: readonly Fed[]): Promise<number> {
  const open: OpenSamples[] = [];
  try {
    await openAll(model, samples, feds, open);
    return open.reduce((sum, { data }) => sum + data.count, 0);
  } finally {
    for (const { data } of open) data.close();
  }
}

function fromOf(how: string, open: readonly OpenSamples[]): RecordedFrom {
  const bySignature = open.map(({ fed: { subgraph, signature }, data }) => ({
    subgraph,
    ...(signature !== undefined && { signature }),
    samples: data.count,
    random: data.random === true,
  }));
  return {
    source: "samples",
    how,
    samples: bySignature.reduce((sum, { samples }) => sum + samples, 0),
    random: bySignature.some(({ random }) => random),
    ...(open.length > 1 && { bySignature }),
  };
}

function howOf(how: string, open: readonly OpenSamples[]): Map<number, string> {
  const counts = new Map<number, number>();
  for (const { fed, data } of open) counts.set(fed.subgraph, (counts.get(fed.subgraph) ?? 0) + data.count);
  return new Map([...counts].map(([subgraph, count]) => [subgraph, `${how} of ${counted(count, "sample")}`]));
}

/** What was done with the samples of one subgraph, and warnings about them; its signature is named where there are several. */
export function notesOf(
  { fed: { subgraph, signature }, specs, data, facts }: OpenSamples,
  several: boolean,
  { isOpen, openSizeText }: Pick<typeof import("../calibration/index.ts"), "isOpen" | "openSizeText">,
): Note[] {
  const random = data.random === true;
  const found: Note[] = [
    ...(data.said ?? []),
    ...facts.notes(random, data.prepared),
    ...(random ? specs.filter(isOpen).map((input) => openSizeNote(input, openSizeText(input))) : []),
  ];
  if (!several) return found;
  const part = signature === undefined ? `subgraph ${subgraph}` : `signature "${signature}"`;
  return found.map((note) => ({ ...note, subgraph, text: `${part}: ${note.text}` }));
}

function openSizeNote(input: InputSpec, text: string): Note {
  return { kind: "warning", code: "open-size", tensor: input.name, text };
}

function reductionText(reduction: Reduction): string {
  switch (reduction.kind) {
    case "percentile":
      return `percentile ${reduction.min}–${reduction.max}`;
    case "percentile_all":
      return `percentile ${reduction.min}–${reduction.max} of all values`;
    case "entropy":
      return "least divergence (entropy)";
    case "mse":
      return `least squared error (${reduction.quantizer.dtype.toLowerCase()})`;
    case "moving_average":
      return `moving average (batches of ${reduction.batch}, constant ${reduction.constant})`;
    case "minmax":
      return "minimum and maximum";
  }
}
