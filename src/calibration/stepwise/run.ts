/** Running an instrumented model operator by operator on all records (interpreter.ts), on workers. */

import { inOrder } from "../../base/in-order.ts";
import { isDeferred } from "../../model/bytes.ts";
import { type Fill, type Model, serializeInto } from "../../model/index.ts";
import type { DataSet } from "../dataset.ts";
import type { Failure } from "../failure.ts";
import { type Histogram, mergeHistograms } from "../histogram.ts";
import { explain, type Instrumented } from "../instrument.ts";
import { compileLibrary } from "../litert.ts";
import { type MomentRequest, wantedOf } from "../moments/request.ts";
import type { Both, ObserverKind } from "../observe.ts";
import { planSteps } from "../parts.ts";
import { runRecords } from "../pool.ts";
import type { Job, ObservedTensor } from "../recorder.ts";
import { graphBytes, type RunResult } from "../run.ts";

export interface StepwiseOptions {
  workers?: number;
  memoryLimit?: number;
  fastMath?: boolean;
  observer: ObserverKind;
  observerBytes: number;
  /** State stays from record to record: then one worker runs them in order. */
  sequence: boolean;
  onProgress?(done: number, total: number): void;
  fill?: Fill;
  /** What operators with weights read is gathered, too. */
  moments?: MomentRequest;
}

/** Runs it; results are those of the plan's inputs, outputs, and results of called subgraphs, in this order. Throws MinmaxqError. */
export async function runStepwise(plan: Instrumented, data: DataSet, options: StepwiseOptions): Promise<RunResult> {
  const observed = observedOf(plan);
  const fastMath = options.fastMath ?? false;
  const model = await sharedBytes(plan.model, options.fill);
  const bounds = {
    limit: options.memoryLimit,
    held: options.moments?.heldBytes,
    workers: options.sequence ? 1 : options.workers,
  };
  const { workers, room } = planSteps(
    { ...sizesOf(plan), observer: options.observerBytes, records: data.count },
    bounds,
  );
  const moments = options.moments && wantedOf(options.moments, observed);
  const takeMoments = moments && inOrder<Both["moments"]>((record, each) => moments.take(record, each));
  const job: Job = {
    steps: { model, sequence: options.sequence, room },
    library: await compileLibrary(fastMath),
    fastMath,
    observer: options.observer,
    observed,
    settle: false,
    ...(moments && { moments: moments.wanted }),
  };
  const mins = observed.map(() => new Float32Array(data.count));
  const maxs = observed.map(() => new Float32Array(data.count));
  const { ends } = await runRecords(
    job,
    data,
    {
      workers,
      onProgress: options.onProgress,
      onResult: (record, values) => {
        const pairs = moments ? (values as Both).ranges : (values as Float32Array);
        takeMoments?.(record, (values as Both).moments);
        for (const place of observed.keys()) {
          mins[place]![record] = pairs[2 * place]!;
          maxs[place]![record] = pairs[2 * place + 1]!;
        }
      },
    },
    (failure) => stepFailure(plan, data, failure),
  );
  const histograms =
    options.observer === "histogram"
      ? observed.map((_, i) => (ends as Histogram[][]).map((end) => end[i]!).reduce(mergeHistograms))
      : [];
  return { mins, maxs, histograms };
}

/** Bytes of constants, and of the operator that needs most: its constants three times, and twice its operands and results as declared. */
function sizesOf({ model }: Instrumented): { stored: number; largest: number } {
  const size = (index: number) => model.buffers?.[index]?.data?.length ?? 0;
  const stored = (model.buffers ?? []).reduce((sum, _, index) => sum + size(index), 0);
  let largest = 0;
  for (const graph of model.subgraphs ?? [])
    for (const { inputs = [], outputs = [] } of graph.operators ?? []) {
      let need = 0;
      for (const index of [...inputs, ...outputs])
        if (index >= 0) need += 3 * size(graph.tensors![index]!.buffer ?? 0) + 2 * graphBytes(graph, index);
      largest = Math.max(largest, need);
    }
  return { stored, largest };
}

function observedOf(plan: Instrumented): ObservedTensor[] {
  const main = new Map([...plan.inputs, ...plan.outputs].map((each) => [each.tensor, each]));
  return [
    ...[...main.values()].map(({ tensor, finite }) => ({ tensor, finite })),
    ...plan.called.flatMap(({ results }, i) =>
      results.map(({ tensor, finite }) => ({ tensor, subgraph: i + 1, finite })),
    ),
  ];
}

/** LiteRT's reason behind the operator that it is about: places are numbers of operators over all subgraphs. */
function stepFailure(plan: Instrumented, data: DataSet, { reason, record, place, ofMachine }: Failure): string {
  const ofRecord = record !== undefined && !ofMachine && !/failed to prepare|custom op|Flex/i.test(reason);
  return `${ofRecord ? `record ${record} of ${data.description}: ` : ""}${explainStep(plan, place, reason)}`;
}

/** LiteRT's reason behind the operator of that number. */
export function explainStep(plan: Instrumented, place: number | undefined, reason: string): string {
  const origins = [...plan.origins, ...plan.called.flatMap(({ origins }) => origins)];
  const origin = place === undefined ? undefined : origins[place]?.text;
  return origin === undefined ? reason : explain(reason, [origin], (index) => `tensor ${index}`);
}

/** The copy as TFL3 in memory that workers share. */
export async function sharedBytes(model: Model, fill: Fill | undefined): Promise<SharedArrayBuffer> {
  const deferred = model.buffers?.some(({ data }) => data !== undefined && isDeferred(data));
  let shared = new SharedArrayBuffer(0);
  await serializeInto(model, { dialect: "tflite", fill: deferred ? fill : undefined }, (size) => {
    shared = new SharedArrayBuffer(size);
    const target = new Uint8Array(shared);
    return { write: (bytes, offset) => target.set(bytes, offset) };
  });
  return shared;
}
