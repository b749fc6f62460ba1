/**
 * Recording: runs the float model on every record of a data set and reduces what its tensors took on to one range each.
 */
import { MinmaxqError } from "../errors.ts";
import { type Fill, type Model, serializeModel } from "../model/index.ts";
import type { DataSet } from "./dataset.ts";
import { dependsOnData, foldConstants } from "./fold.ts";
import { subgraphOf } from "./graph-facts.ts";
import { type Histogram, mergeHistograms } from "./histogram.ts";
import { byteLength } from "./inputs.ts";
import { inputSpecs, instrument, type Observed } from "./instrument.ts";
import { compileLibrary } from "./litert.ts";
import { runRecords } from "./pool.ts";
import { throwAll } from "./problems.ts";
import { checkReduction, looksAtValues, type Range, type Reduction, reduce, reduceValues } from "./reduce.ts";

export interface RecordOptions {
  /** Which subgraph is run; 0 by default. */
  subgraph?: number;
  reduction: Reduction;
  /** Number of workers; by default as many as cores, records and memory allow. Results do not depend on it. */
  workers?: number;
  /** LiteRT's relaxed-SIMD build: faster, the last bits depend on the machine. */
  fastMath?: boolean;
  onProgress?(done: number, total: number): void;
  /** Told once of float32 tensors that cannot be observed (inside control flow). */
  onUnobserved?(names: readonly string[]): void;
  /** Fills in Deferred contents of the model (src/model/write.ts). */
  fill?: Fill;
}

/** One tensor's range. ±inf is possible (the model made it); NaN is not. */
export interface RecordedRange extends Range {
  /** Real name of the tensor; names may repeat within a model. */
  readonly name: string;
  /** Number of records it comes from. */
  readonly samples: number;
}

/** Minima and maxima per record, before reduction: one element a record, in record order. */
export interface Samples extends Observed {
  readonly mins: Float32Array;
  readonly maxs: Float32Array;
  /** All values of all records; when asked for. */
  readonly histogram?: Histogram;
}

/**
 * Runs the model on every record; gives the reduced range of every float32 graph input and operator result, by tensor index of the
 * subgraph. Throws MinmaxqError: operators that cannot be run, tensors that are all NaN, a worker's failure, unreadable data.
 */
export async function recordRanges(
  model: Model,
  data: DataSet,
  options: RecordOptions,
): Promise<Map<number, RecordedRange>> {
  checkReduction(options.reduction);
  const { reduction } = options;
  const wantsValues = looksAtValues(reduction);
  const samples = await recordSamples(model, data, options, wantsValues);
  const problems: string[] = [];
  const ranges = new Map<number, RecordedRange>();
  for (const { tensor, name, mins, maxs, histogram } of samples) {
    const range = wantsValues ? reduceValues(histogram!, mins, maxs, reduction) : reduce(mins, maxs, reduction);
    if (range) ranges.set(tensor, { name, samples: mins.length, ...range });
    else problems.push(`tensor "${name}": all values are infinite or NaN; the model or the data are broken`);
  }
  throwAll(problems, "tensors without a range");
  return ranges;
}

/** As recordRanges, but without the reduction; a histogram of each tensor's values only when wanted. */
export async function recordSamples(
  model: Model,
  data: DataSet,
  options: Omit<RecordOptions, "reduction">,
  wantsHistogram = false,
): Promise<Samples[]> {
  const subgraph = options.subgraph ?? 0;
  const graph = subgraphOf(model, subgraph);
  const known = await foldConstants(model, graph);
  const plan = instrument(model, subgraph, known);
  if (plan.unobserved.length > 0) options.onUnobserved?.(plan.unobserved);
  const observed = [...plan.inputs, ...plan.outputs];
  const results = observed.reduce((sum, { elements }) => sum + 4 * elements, 0);
  const inputs = inputSpecs(model, subgraph).reduce((sum, input) => sum + byteLength(input), 0);
  const fastMath = options.fastMath ?? false;
  const runs = plan.outputs.length > 0;
  const { records, ends } = await runRecords(
    {
      model: runs ? await sharedBytes(plan.model, options.fill) : undefined,
      library: runs ? await compileLibrary(fastMath) : undefined,
      outputNames: plan.outputNames,
      observedInputs: plan.inputs.map(({ position }) => position),
      finite: observed.map(({ finite }) => finite),
      observer: wantsHistogram ? "histogram" : "minmax",
      settle: dependsOnData(model, graph, known),
      fastMath,
    },
    data,
    {
      workers: options.workers,
      recordBytes: results + inputs,
      observerBytes: wantsHistogram ? observed.length * HISTOGRAM_BYTES : 0,
      onProgress: options.onProgress,
    },
    (reason, record) => {
      // LiteRT prepares operators in the first run only, so those problems come with a record but are not its own.
      const ofRecord = record !== undefined && !/failed to prepare|custom op|custom allocation/.test(reason);
      return `${ofRecord ? `record ${record} of ${data.description}: ` : ""}${plan.explain(reason)}`;
    },
  );
  const samples = samplesOf(observed, records as Float32Array[]);
  if (!wantsHistogram) return samples;
  const parts = ends as Histogram[][];
  return samples.map((sample, place) => ({
    ...sample,
    histogram: parts.map((part) => part[place]!).reduce(mergeHistograms),
  }));
}

/** What a histogram usually takes in a worker and on its way to the main thread: some 50 octaves. */
const HISTOGRAM_BYTES = 800e3;

/** Turns the records' (min, max) pairs into one list a tensor. Throws MinmaxqError for tensors without a number (§7.3). */
function samplesOf(observed: readonly Observed[], records: readonly Float32Array[]): Samples[] {
  const problems: string[] = [];
  const samples = observed.map((tensor, place) => {
    const mins = Float32Array.from(records, (record) => record[2 * place]!);
    const maxs = Float32Array.from(records, (record) => record[2 * place + 1]!);
    const empty = mins.findIndex((min) => Number.isNaN(min));
    if (empty >= 0)
      problems.push(
        `tensor "${tensor.name}": all values are NaN in record ${empty}; the model or that record is broken`,
      );
    return { ...tensor, mins, maxs };
  });
  throwAll(problems, "tensors without a range");
  return samples;
}

/** Largest model an engine can hold: WASM memory ends at 4 GiB and holds the weights three times (1.0 GB ran, 1.3 GB did not). */
const MODEL_LIMIT = 1.1e9;

async function sharedBytes(model: Model, fill?: Fill): Promise<SharedArrayBuffer> {
  const bytes = await serializeModel(model, { dialect: "tflite", fill });
  if (bytes.byteLength > MODEL_LIMIT) {
    throw new MinmaxqError(
      `the float model has ${bytes.byteLength} bytes; models past ${MODEL_LIMIT} cannot be run to record ranges yet; record it elsewhere (ONE's record-minmax) and quantize it without --data`,
    );
  }
  const shared = new SharedArrayBuffer(bytes.byteLength);
  new Uint8Array(shared).set(bytes);
  return shared;
}
