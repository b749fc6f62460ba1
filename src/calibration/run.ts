/** Running an instrumented model on all records: slices, parts, workers, and what the observers said put together. */

import { inOrder } from "../base/in-order.ts";
import { collectNear } from "../base/memory.ts";
import type { Progress } from "../base/output.ts";
import { isDeferred } from "../model/bytes.ts";
import { byteLength, type Fill, type Model, type SubGraph, serializeInto, TensorType } from "../model/index.ts";
import type { DataSet } from "./dataset.ts";
import type { Failure } from "./failure.ts";
import { knownShape } from "./graph-facts.ts";
import { type Histogram, mergeHistograms } from "./histogram.ts";
import { explain, type Instrumented } from "./instrument.ts";
import { compileLibrary } from "./litert.ts";
import type { Look, Looked } from "./look-observer.ts";
import { type MomentRequest, momentBytesBy, wantedOf } from "./moments/request.ts";
import type { Both, ObserverKind } from "./observe.ts";
import { type Part, planParts } from "./parts.ts";
import { runRecords } from "./pool.ts";
import type { Job, ObservedTensor } from "./recorder.ts";
import { type Slice, sliceModel } from "./slices.ts";
import { Spill } from "./spill.ts";

export interface RunOptions {
  workers?: number;
  memoryLimit?: number;
  /** Of that, bytes that something else has meanwhile. */
  heldBytes?: number;
  /** One piece; or every slice a part. By default as memory asks for. */
  cut?: "never" | "always";
  fastMath?: boolean;
  observer: ObserverKind;
  /** Bytes of what a worker's observer gathers over all records. */
  observerBytes: number;
  /** As the worker's job has it. */
  settle: boolean;
  /** What messages call a tensor. */
  name(tensor: number): string;
  onProgress?: Progress;
  fill?: Fill;
  /** What operators with weights read is gathered, too. */
  moments?: MomentRequest;
  /** What is wanted of tensors, with the observer `looks`; the results then have no ranges. Records come in order, of each tensor. */
  looks?: {
    readonly of: ReadonlyMap<number, Look>;
    take(record: number, tensor: number, looked: Looked): void;
  };
}

/** One entry an observed tensor: the plan's inputs, then its outputs. */
export interface RunResult {
  /** One element a record; NaN where a record had no number. */
  readonly mins: readonly Float32Array[];
  readonly maxs: readonly Float32Array[];
  /** Empty unless the observer gathers them. */
  readonly histograms: readonly Histogram[];
}

/** Runs it. Throws MinmaxqError: a limit or an operator that does not fit, LiteRT's refusals, unreadable data, a full disk. */
export async function runModel(plan: Instrumented, data: DataSet, options: RunOptions): Promise<RunResult> {
  const graph = plan.model.subgraphs![0]!;
  const inputs = Array.from(graph.inputs ?? []);
  const bytes = (tensor: number): number => graphBytes(graph, tensor);
  const slices = plan.outputs.length > 0 ? sliceModel(plan, options.cut === "never") : [];
  const gathered = options.moments && momentBytesBy(options.moments);
  const { parts, workers, spillBytes } = planParts(
    slices,
    {
      ...{ inputs: new Set(inputs), bytes, records: data.count, observer: options.observerBytes },
      gathered: (tensor) => gathered?.get(tensor) ?? 0,
    },
    {
      limit: options.memoryLimit,
      held: options.moments?.heldBytes,
      alsoHeld: options.heldBytes,
      workers: options.workers,
      everySlice: options.cut === "always",
    },
  );
  const finite = new Map([...plan.inputs, ...plan.outputs].map((tensor) => [tensor.tensor, tensor.finite]));
  const places = new Map([...finite.keys()].map((tensor, place) => [tensor, place]));
  const fastMath = options.fastMath ?? false;
  const library = parts.length > 0 ? await compileLibrary(fastMath) : undefined;
  const small = slices.reduce((sum, { stored }) => sum + stored, 0) < SMALL_BYTES;
  const window = new Window(slices);
  const spill = new Spill(data.count, spillBytes);
  const result = {
    mins: [...places].map(() => new Float32Array(data.count).fill(Number.NaN)),
    maxs: [...places].map(() => new Float32Array(data.count).fill(Number.NaN)),
    histograms: new Array<Histogram>(options.observer === "histogram" ? places.size : 0),
  };

  const runPart = async (part: Part | undefined, number: number): Promise<void> => {
    const own = part?.slices.flatMap(({ outputs }) => outputs).filter((tensor) => places.has(tensor)) ?? [];
    const observed: ObservedTensor[] = [
      ...(number === 0 ? plan.inputs : []).map(({ tensor, position }) => ({
        tensor,
        position,
        finite: finite.get(tensor)!,
        look: options.looks?.of.get(tensor),
      })),
      ...own.map((tensor) => ({ tensor, finite: finite.get(tensor)!, look: options.looks?.of.get(tensor) })),
    ];
    const moments = options.moments && wantedOf(options.moments, observed);
    const takeMoments = moments && inOrder<Both["moments"]>((record, each) => moments.take(record, each));
    const { looks } = options;
    const takeLooks =
      looks &&
      inOrder<readonly Looked[]>((record, all) => {
        for (const [i, { tensor }] of observed.entries()) looks.take(record, tensor, all[i]!);
      });
    const job: Job = {
      chain: part && {
        links: part.slices.map(({ inputs, outputs }) => ({ inputs, outputs })),
        inputs,
        reads: part.reads.map((tensor) => spill.of(tensor)),
        writes: part.writes.map((tensor) => spill.add(tensor, bytes(tensor))),
      },
      library,
      fastMath,
      observer: options.observer,
      observed,
      settle: options.settle,
      ...(moments && { moments: moments.wanted }),
    };
    const { ends } = await runRecords(
      job,
      number === 0 || part?.readsInputs ? data : withoutInputs(data),
      {
        workers,
        // A part's memory is given back before the next, and all of it where it is limited.
        reuse: parts.length === 1 && options.memoryLimit === undefined && !fastMath,
        patient: small && options.workers === undefined,
        models: () => window.models(part?.slices ?? [], options.fill),
        onProgress: (done) =>
          options.onProgress?.(
            number * data.count + done,
            Math.max(1, parts.length) * data.count,
            parts.length > 1 ? `part ${number + 1} of ${parts.length}` : undefined,
          ),
        onResult: (record, values) => {
          collectNear(options.memoryLimit);
          if (takeLooks) return takeLooks(record, values as readonly Looked[]);
          const pairs = moments ? (values as Both).ranges : (values as Float32Array);
          takeMoments?.(record, (values as Both).moments);
          for (const [i, { tensor }] of observed.entries()) {
            const place = places.get(tensor)!;
            result.mins[place]![record] = pairs[2 * i]!;
            result.maxs[place]![record] = pairs[2 * i + 1]!;
          }
        },
      },
      (failure) => partFailure(failure, part?.slices ?? [], data, options.name),
    );
    if (options.observer === "histogram")
      for (const [i, { tensor }] of observed.entries())
        result.histograms[places.get(tensor)!] = (ends as Histogram[][]).map((end) => end[i]!).reduce(mergeHistograms);
    for (const tensor of part?.reads ?? [])
      if (!parts.slice(number + 1).some(({ reads }) => reads.includes(tensor))) spill.drop(tensor);
  };

  try {
    if (parts.length === 0) await runPart(undefined, 0);
    for (const [number, part] of parts.entries()) await runPart(part, number);
  } finally {
    spill.close();
  }
  return result;
}

/** Bytes of constants below which one worker may do: larger models take long to load, so that all begin with it at once. */
const SMALL_BYTES = 16e6;

/** Records of which nothing is read. */
function withoutInputs({ description, count }: DataSet): DataSet {
  return {
    description,
    count,
    async *records() {
      for (let i = 0; i < count; i++) yield [];
    },
    close() {},
  };
}

/** Bytes of an activation of the copy. */
export function graphBytes(graph: SubGraph, index: number): number {
  const tensor = graph.tensors![index]!;
  return byteLength(tensor.type ?? TensorType.FLOAT32, knownShape(tensor)) ?? 0;
}

/** LiteRT's reason with the model's names; its place is that of the slice. */
export function partFailure(
  { reason, record, place, ofMachine }: Failure,
  slices: readonly Slice[],
  data: DataSet,
  name: (tensor: number) => string,
): string {
  const slice = place === undefined ? undefined : slices[place];
  // LiteRT prepares operators in the first run only, so those problems come with a record but are not its own.
  const ofRecord = record !== undefined && !ofMachine && !/failed to prepare|custom op|custom allocation/.test(reason);
  const explained = slice ? explain(reason, slice.origins, (index) => name(slice.tensors[index] ?? index)) : reason;
  return `${ofRecord ? `record ${record} of ${data.description}: ` : ""}${explained}`;
}

/** The shared memory through which slices come to the workers: one at a time, so that it is as large as the largest. */
export class Window {
  private bytes = new SharedArrayBuffer(0);

  constructor(private readonly slices: readonly Slice[]) {}

  async *models(slices: readonly Slice[], fill: Fill | undefined) {
    for (const slice of slices) {
      const length = await this.write(slice.model, fill);
      yield { bytes: this.bytes, length };
    }
  }

  private async write(model: Model, fill: Fill | undefined): Promise<number> {
    const deferred = model.buffers?.some(({ data }) => data !== undefined && isDeferred(data));
    let length = 0;
    await serializeInto(model, { dialect: "tflite", fill: deferred ? fill : undefined }, (size) => {
      // At once as large as it will ever have to be: shared memory that was outgrown is given back some time later.
      const largest = Math.max(0, ...this.slices.map(({ stored }) => stored));
      if (size > this.bytes.byteLength) this.bytes = new SharedArrayBuffer(Math.max(size, largest + TABLES));
      const target = new Uint8Array(this.bytes, 0, size);
      length = size;
      return { write: (bytes, offset) => target.set(bytes, offset) };
    });
    return length;
  }
}

/** What tables and gaps add to a slice's constants. */
const TABLES = 256 << 10;
