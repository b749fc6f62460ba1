/**
 * Recording: runs the float model on every record of a data set and reduces what its tensors took on to one range each.
 */
import type { Fill, Model } from "../model/index.ts";
import type { DataSet } from "./dataset.ts";
import { constantsKnown, dependsOnData } from "./fold.ts";
import { subgraphOf } from "./graph-facts.ts";
import type { Histogram } from "./histogram.ts";
import { instrument, nameIn, type Observed } from "./instrument.ts";
import { throwAll } from "./problems.ts";
import { checkReduction, looksAtValues, type Range, type Reduction, reduce, reduceValues } from "./reduce.ts";
import { runModel } from "./run.ts";

export interface RecordOptions {
  /** Which subgraph is run; 0 by default. */
  subgraph?: number;
  reduction: Reduction;
  /** Number of workers; by default as many as cores, records and memory allow. Results do not depend on it. */
  workers?: number;
  /** Bytes that the process may have resident while samples run (parts.ts); results do not depend on it. */
  memoryLimit?: number;
  /** Runs the model as one piece, or every slice as a part of its own; for tests and measurements. */
  cut?: "never" | "always";
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
  const known = await constantsKnown(model, graph);
  const plan = instrument(model, subgraph, known);
  if (plan.unobserved.length > 0) options.onUnobserved?.(plan.unobserved);
  const observed = [...new Map([...plan.inputs, ...plan.outputs].map((each) => [each.tensor, each])).values()];
  const result = await runModel(plan, data, {
    ...options,
    name: (tensor) => nameIn(graph, tensor),
    observer: wantsHistogram ? "histogram" : "minmax",
    observerBytes: wantsHistogram ? observed.length * HISTOGRAM_BYTES : 0,
    settle: dependsOnData(model, graph, known),
  });
  const samples = samplesOf(
    observed.map((tensor, place) => ({ ...tensor, mins: result.mins[place]!, maxs: result.maxs[place]! })),
  );
  if (!wantsHistogram) return samples;
  return samples.map((sample, place) => ({ ...sample, histogram: result.histograms[place]! }));
}

/** What a histogram usually takes in a worker and on its way to the main thread (measured: 1.6 MB with iris_landmark). */
const HISTOGRAM_BYTES = 2e6;

/** Throws MinmaxqError for tensors without a number (§7.3). */
function samplesOf(samples: Samples[]): Samples[] {
  const problems: string[] = [];
  for (const { name, mins } of samples) {
    const empty = mins.findIndex((min) => Number.isNaN(min));
    if (empty >= 0)
      problems.push(`tensor "${name}": all values are NaN in record ${empty}; the model or that record is broken`);
  }
  throwAll(problems, "tensors without a range");
  return samples;
}
