/**
 * Runs one model once in LiteRT, in a Worker (src/engine/worker.ts). Everything that LiteRT says comes back as data; trial.ts makes sense
 * of it.
 */
import { type Failure, failureOf } from "../calibration/failure.ts";
import { knownShape } from "../calibration/graph-facts.ts";
import type { Shapes } from "../calibration/inputs.ts";
import { EngineError, type Instance, type LoadedFile, openInstance } from "../calibration/litert.ts";
import { Interpreter } from "../calibration/stepwise/interpreter.ts";
import type { Value } from "../calibration/stepwise/stepper.ts";
import {
  byteLength,
  type Model,
  type OpenedModel,
  openModel,
  serializeModel,
  type Tensor,
  TensorType,
} from "../model/index.ts";
import { FILLS, type FillName, fillTensor, inputOf } from "./fills.ts";

/** What the Worker is to do. */
export interface TrialJob {
  /** Path of a .tflite file. */
  readonly path: string;
  readonly library: WebAssembly.Module;
  /** Run the first subgraph operator by operator, with these shapes of its inputs; absent = all signatures, as the file is. */
  readonly steps?: { readonly shapes?: Shapes };
}

/** What came of it. */
export interface TrialResult {
  /** Absent where it ran to its end. */
  readonly failure?: Failure;
  /** The model was loaded and prepared, and stopped while it ran. */
  readonly prepared: boolean;
  /** Bytes of LiteRT's memory at the end. */
  readonly memory: number;
}

/** Said now and then: operators that were run, of all in the first subgraph. */
export interface TrialProgress {
  readonly done: number;
  readonly total: number;
}

/** Does the job; `tell` is told how far it is. Never throws. */
export async function tried(job: TrialJob, tell: (progress: TrialProgress) => void): Promise<TrialResult> {
  let prepared = false;
  let memory: WebAssembly.Memory | undefined;
  try {
    const opened = openModel(job.path);
    try {
      const instance = await openInstance(job.library, false);
      ({ memory } = instance);
      if (job.steps) {
        const interpreter = new Interpreter(opened.model, instance, false, STEPS_ROOM);
        const total = Math.max(1, opened.model.subgraphs?.[0]?.operators?.length ?? 1);
        await runFills((fill) => {
          let done = 0;
          // Results of the first subgraph stand for its operators; one with several results must not run ahead.
          const see = (subgraph: number) => {
            if (subgraph === 0 && done < total) tell({ done: done++, total });
          };
          return interpreter.run(valuesFor(opened.model, fill, job.steps!.shapes), see);
        });
      } else {
        const file = await load(instance, opened);
        prepared = true;
        for (let signature = 0; signature < file.signatures; signature++)
          await runFills((fill) =>
            file.run(signature, (name, bytes) => fillTensor(inputOf(opened.model, signature, name), bytes, fill)),
          );
        // The Worker may go on with another; one in which something failed ends.
        file.close();
      }
    } finally {
      opened.close();
    }
    return { prepared: true, memory: memory.buffer.byteLength };
  } catch (error) {
    return { failure: failureOf(error, undefined), prepared, memory: memory?.buffer.byteLength ?? 0 };
  }
}

/** Bytes that operators may take which are loaded one by one. */
const STEPS_ROOM = 512e6;

/** Runs with one kind of values after the other until one goes through; throws what the first said. */
async function runFills(run: (fill: FillName) => Promise<unknown>): Promise<void> {
  let first: unknown;
  for (const fill of FILLS) {
    try {
      await run(fill);
      return;
    } catch (error) {
      first ??= error;
      // A trap leaves the instance in no state to go on; what cannot be prepared cannot with other values.
      if (!/failed to invoke/.test(failureOf(error, undefined).reason)) break;
    }
  }
  throw first;
}

/** The file as it is; a copy with known sizes where the file leaves some open, of which LiteRT's bindings make no inputs. */
async function load(instance: Instance, { model, source }: OpenedModel): Promise<LoadedFile> {
  const tensors = model.subgraphs?.flatMap((graph) => graph.tensors ?? []) ?? [];
  // Straight into LiteRT's memory: a model may be large.
  if (!tensors.some(isOpen)) return instance.loadFile(source.size, (target) => source.readInto(target, 0));
  const subgraphs = model.subgraphs!.map((graph) => ({ ...graph, tensors: graph.tensors?.map(closed) }));
  const copy = await serializeModel({ ...model, subgraphs }, { dialect: "tflite" });
  return instance.loadFile(copy.length, (target) => target.set(copy));
}

function isOpen({ shape = new Int32Array(), shapeSignature = new Int32Array() }: Tensor): boolean {
  return [...shape, ...shapeSignature].some((dim) => dim < 0);
}

function closed(tensor: Tensor): Tensor {
  return { ...tensor, shape: Int32Array.from(knownShape(tensor)), shapeSignature: undefined };
}

function valuesFor(model: Model, fill: FillName, shapes: Shapes | undefined): Value[] {
  const graph = model.subgraphs![0]!;
  return Array.from(graph.inputs ?? [], (index, i) => {
    const tensor = graph.tensors![index]!;
    const type = tensor.type ?? TensorType.FLOAT32;
    const shape = shapes?.[i] ?? knownShape(tensor);
    const size = byteLength(type, shape);
    if (size === undefined) throw new EngineError("an input has no numbers");
    const bytes = new Uint8Array(size);
    fillTensor(tensor, bytes, fill);
    return { type, shape, bytes };
  });
}
