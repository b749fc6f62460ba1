/**
 * Recording: runs the float model on every record of a data set and reduces what its tensors took on to one range each.
 */
import { MinmaxqError } from "../base/errors.ts";
import { passingSignals } from "../base/interrupt.ts";
import type { Progress } from "../base/output.ts";
import type { Fill, Model } from "../model/index.ts";
import type { DataSet } from "./dataset.ts";
import { SIZES_CONTRADICTED } from "./failure.ts";
import { constantsKnown, dependsOnData } from "./fold.ts";
import { subgraphOf } from "./graph-facts.ts";
import { type Histogram, mergeHistograms } from "./histogram.ts";
import { type Instrumented, instrument, nameIn, type Observed } from "./instrument.ts";
import { type MomentRequest, momentBytes } from "./moments/request.ts";
import { isUnseen, type ObserverKind } from "./observe.ts";
import { throwAll } from "./problems.ts";
import { checkReduction, looksAtValues, type Range, type Reduction, reduce, reduceValues } from "./reduce.ts";
import { type RunResult, runModel } from "./run.ts";
import { checkVariables, needsSteps } from "./stepwise/needs.ts";
import { runStepwise } from "./stepwise/run.ts";

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
  onProgress?: Progress;
  /** Told how many tensors have their range, where that takes long (all values are looked at). */
  onRanges?: Progress;
  /** Records follow each other: the model's state stays from one to the next. Else it begins anew with each record. */
  sequence?: boolean;
  /** Told of each tensor what its range is reduced from. */
  onExtremes?(tensor: Samples): void;
  /** Told once of float32 tensors that no record showed: branches that were not taken, results without elements. */
  onUnobserved?(names: readonly string[]): void;
  /** Fills in Deferred contents of the model (src/model/write.ts). */
  fill?: Fill;
  /** What operators with weights read is gathered, too; of subgraphs that are run by others nothing is. */
  moments?: MomentRequest;
  /** Which set of samples of `moments` this is. */
  run?: number;
}

/** One tensor's range. ±inf is possible (the model made it); NaN is not. */
export interface RecordedRange extends Range {
  /** Real name of the tensor; names may repeat within a model. */
  readonly name: string;
  /** Number of records it comes from. */
  readonly samples: number;
}

/** Minima and maxima per record, before reduction: one element per record, in record order. */
export interface Samples extends Observed {
  /** Its subgraph. */
  readonly subgraph: number;
  readonly mins: Float32Array;
  readonly maxs: Float32Array;
  /** All values of all records; when asked for. */
  readonly histogram?: Histogram;
}

/** One subgraph and the records that it is run on. */
export interface SubgraphRun {
  readonly subgraph: number;
  readonly data: DataSet;
  /** Progress of this run. */
  onProgress?(done: number, total: number): void;
}

/** Reduced ranges of float32 graph inputs and operator results, by tensor index of the subgraph that is run. Otherwise as recordAllRanges. */
export async function recordRanges(
  model: Model,
  data: DataSet,
  options: RecordOptions,
): Promise<Map<number, RecordedRange>> {
  return (await recordAllRanges(model, data, options)).get(options.subgraph ?? 0)!;
}

/**
 * Runs the model on every record; gives the reduced range of every float32 graph input and operator result, by subgraph and tensor index:
 * of the subgraph that is run, and of those that it runs. Throws MinmaxqError: operators that cannot be run, tensors that are all NaN,
 * variables without a value, a worker's failure, unreadable data.
 */
export async function recordAllRanges(
  model: Model,
  data: DataSet,
  options: RecordOptions,
): Promise<Map<number, Map<number, RecordedRange>>> {
  return recordRuns(model, [{ subgraph: options.subgraph ?? 0, data, onProgress: options.onProgress }], options);
}

/**
 * The same for several subgraphs, one after the other. A tensor that several runs show (of a subgraph that both call, or that two signatures
 * name) gets one range of all their records, in the order of the runs.
 */
export async function recordRuns(
  model: Model,
  runs: readonly SubgraphRun[],
  options: Omit<RecordOptions, "subgraph" | "onProgress">,
): Promise<Map<number, Map<number, RecordedRange>>> {
  checkReduction(options.reduction);
  const { reduction } = options;
  const wantsValues = looksAtValues(reduction);
  const samples = new Map<string, Samples>();
  for (const [number, { data, ...run }] of runs.entries())
    for (const each of await recordSamples(model, data, { ...options, ...run, run: number }, wantsValues)) {
      const key = `${each.subgraph} ${each.tensor}`;
      const before = samples.get(key);
      samples.set(key, before ? together(before, each) : each);
    }
  const problems: string[] = [];
  const ranges = new Map(runs.map(({ subgraph }) => [subgraph, new Map<number, RecordedRange>()]));
  const pass = passingSignals();
  for (const [done, { subgraph, tensor, name, mins, maxs, histogram }] of [...samples.values()].entries()) {
    if (wantsValues && (await pass())) options.onRanges?.(done, samples.size);
    const range = wantsValues ? reduceValues(histogram!, mins, maxs, reduction) : reduce(mins, maxs, reduction);
    if (!range) {
      problems.push(`tensor "${name}": all values are infinite or NaN; the model or the data are broken`);
      continue;
    }
    const own = ranges.get(subgraph) ?? new Map<number, RecordedRange>();
    ranges.set(subgraph, own.set(tensor, { name, samples: mins.length, ...range }));
  }
  if (options.onExtremes) for (const each of samples.values()) options.onExtremes(each);
  if (wantsValues) options.onRanges?.(samples.size, samples.size);
  throwAll(problems, "tensors without a range");
  return ranges;
}

/** One tensor in two runs. */
function together(a: Samples, b: Samples): Samples {
  const joined = (one: Float32Array, other: Float32Array) => Float32Array.from([...one, ...other]);
  return {
    ...a,
    mins: joined(a.mins, b.mins),
    maxs: joined(a.maxs, b.maxs),
    ...(a.histogram && b.histogram && { histogram: mergeHistograms(a.histogram, b.histogram) }),
  };
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
  checkVariables(model, subgraph);
  const known = await constantsKnown(model, graph);
  const run = {
    ...options,
    subgraph,
    moments: momentsOf(options, subgraph, data.count),
    observer: wantsHistogram ? ("histogram" as const) : ("minmax" as const),
  };
  if (data.shapes || needsSteps(model, subgraph, known, options.sequence)) return stepwiseSamples(model, data, run);
  const plan = instrument(model, subgraph, known);
  const observed = mainObserved(plan, subgraph);
  let result: RunResult;
  try {
    result = await runModel(plan, data, {
      ...run,
      observerBytes: observerBytes({ observer: run.observer }, observed),
      name: (tensor) => nameIn(graph, tensor),
      settle: dependsOnData(model, graph, known),
    });
  } catch (error) {
    if (!(error instanceof MinmaxqError) || error.code !== SIZES_CONTRADICTED) throw error;
    return stepwiseSamples(model, data, run);
  }
  return seenSamples(samplesOf(observed, result), options.onUnobserved);
}

/** What is gathered of one subgraph, which is the first of the copy that is run. */
function momentsOf(
  { moments, run = 0 }: Pick<RecordOptions, "moments" | "run">,
  subgraph: number,
  records: number,
): MomentRequest | undefined {
  if (!moments) return undefined;
  moments.begin(run, records);
  const own = moments.wishes.filter((wish) => wish.subgraph === subgraph);
  return { ...moments, wishes: own.map((wish) => ({ ...wish, subgraph: 0 })) };
}

/** The same for a model that is run operator by operator, with what the subgraphs show that it runs. */
async function stepwiseSamples(
  model: Model,
  data: DataSet,
  run: Omit<RecordOptions, "reduction"> & { subgraph: number; observer: ObserverKind },
): Promise<Samples[]> {
  run.moments?.begin(run.run ?? 0, data.count);
  const plan = instrument(model, run.subgraph, new Map(), true);
  const observed = [
    ...mainObserved(plan, run.subgraph),
    ...plan.called.flatMap(({ subgraph, results }) => results.map((each) => ({ ...each, subgraph }))),
  ];
  const { sequence = false } = run;
  const bytes = observerBytes(run, observed);
  const result = await runStepwise(plan, data, { ...run, sequence, observerBytes: bytes });
  return seenSamples(samplesOf(observed, result), run.onUnobserved);
}

function mainObserved({ inputs, outputs }: Instrumented, subgraph: number) {
  return [...new Map([...inputs, ...outputs].map((each) => [each.tensor, { ...each, subgraph }])).values()];
}

function observerBytes(
  { observer, moments }: { readonly observer: ObserverKind; readonly moments?: MomentRequest },
  observed: readonly unknown[],
): number {
  const histograms = observer === "histogram" ? observed.length * HISTOGRAM_BYTES : 0;
  return histograms + (moments ? momentBytes(moments) : 0);
}

function samplesOf(
  observed: readonly (Observed & { readonly subgraph: number })[],
  { mins, maxs, histograms }: RunResult,
): Samples[] {
  return observed.map((tensor, place) => ({
    ...tensor,
    mins: mins[place]!,
    maxs: maxs[place]!,
    ...(histograms.length > 0 && { histogram: histograms[place]! }),
  }));
}

/** What a histogram usually takes in a worker and on its way to the main thread (measured: 1.6 MB with iris_landmark). */
const HISTOGRAM_BYTES = 2e6;

/**
 * Samples without the records that did not show their tensor; `onUnobserved` is told of tensors that none showed. Throws MinmaxqError for
 * tensors without a number (§7.3).
 */
function seenSamples(samples: Samples[], onUnobserved: RecordOptions["onUnobserved"]): Samples[] {
  const problems: string[] = [];
  const unseen: string[] = [];
  const seen: Samples[] = [];
  for (const sample of samples) {
    const { name, mins, maxs } = sample;
    const empty = mins.findIndex((min) => Number.isNaN(min));
    if (empty >= 0)
      problems.push(`tensor "${name}": all values are NaN in record ${empty}; the model or that record is broken`);
    const shown = (_: number, record: number) => !isUnseen(mins[record]!, maxs[record]!);
    const kept = mins.every(shown) ? sample : { ...sample, mins: mins.filter(shown), maxs: maxs.filter(shown) };
    if (kept.mins.length > 0) seen.push(kept);
    else unseen.push(name);
  }
  throwAll(problems, "tensors without a range");
  if (unseen.length > 0) onUnobserved?.(unseen);
  return seen;
}
