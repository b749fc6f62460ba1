/**
 * Walks through a model slice by slice, all records through one slice before the next is loaded: so that what a layer reads is known before the
 * layer runs, and its bias can still be another one.
 *
 *     slice 1, all records ─▶ what layer A reads ─▶ A's bias ─▶ slice 2 with A, all records ─▶ …
 *
 * LiteRT runs in this thread: each slice needs what was decided after the one before.
 */
import { passingSignals } from "../base/interrupt.ts";
import { collectNear } from "../base/memory.ts";
import type { Progress } from "../base/output.ts";
import { constantsKnown } from "../calibration/fold.ts";
import { subgraphOf } from "../calibration/graph-facts.ts";
import type { DataSet } from "../calibration/index.ts";
import { instrument } from "../calibration/instrument.ts";
import { compileLibrary, type Instance, openInstance } from "../calibration/litert.ts";
import { type Slice, sliceModel } from "../calibration/slices.ts";
import { needsSteps } from "../calibration/stepwise/needs.ts";
import { type Fill, type Model, serializeModel } from "../model/index.ts";
import { type WalkedLayer, WalkState } from "./walk-state.ts";

export interface WalkOptions {
  /** Tensors whose values are wanted in the end. */
  readonly wanted?: readonly number[];
  readonly fastMath?: boolean;
  readonly fill?: Fill;
  /** Bytes that the process may have; an eighth of it is for values between slices, what is beyond lies in temporary files. */
  readonly memoryLimit?: number;
  readonly onProgress?: Progress;
}

/** Whether a model can be walked through: not where it has to be run operator by operator. */
export async function canWalk(model: Model, subgraph: number, data: DataSet): Promise<boolean> {
  const known = await constantsKnown(model, subgraphOf(model, subgraph));
  return data.shapes === undefined && !needsSteps(model, subgraph, known);
}

/**
 * Walks. Layers are asked in the order in which what they read comes to be. Gives the bytes of the tensors that are wanted, by tensor and record.
 * Throws a MinmaxqError or EngineError.
 */
export async function walk(
  model: Model,
  subgraph: number,
  layers: readonly WalkedLayer[],
  data: DataSet,
  { wanted = [], fastMath = false, fill: fillWith, memoryLimit, onProgress }: WalkOptions,
): Promise<readonly (readonly Uint8Array[])[]> {
  const graph = subgraphOf(model, subgraph);
  const plan = instrument(model, subgraph, await constantsKnown(model, graph));
  const slices = sliceModel(plan, false, new Set(layers.map(({ input }) => input)));
  const state = new WalkState(slices, layers, new Set(wanted), data.count, memoryLimit);
  try {
    const inputs = Array.from(graph.inputs ?? []);
    let records = 0;
    for await (const record of data.records()) {
      for (const [i, tensor] of inputs.entries()) state.putBytes(tensor, records, record[i]!);
      records++;
    }
    for (const tensor of inputs) state.arrived(tensor);
    const instance = await openInstance(await compileLibrary(fastMath), fastMath);
    const pass = passingSignals();
    for (const [at, slice] of slices.entries()) {
      await pass();
      collectNear(memoryLimit);
      onProgress?.(at, slices.length);
      await runSlice(instance, state.withBiases(slice), state, data.count, fillWith);
      for (const tensor of slice.outputs) state.arrived(tensor);
      state.forget(at);
    }
    onProgress?.(slices.length, slices.length);
    return wanted.map((tensor) => state.all(tensor));
  } finally {
    state.close();
  }
}

/** Runs all records through a slice. */
async function runSlice(
  instance: Instance,
  slice: Slice,
  state: WalkState,
  records: number,
  fillWith: Fill | undefined,
): Promise<void> {
  const bytes = await serializeModel(slice.model, { dialect: "tflite", fill: fillWith });
  const names = slice.outputs.map((tensor) => `t${tensor}`);
  const loaded = await instance.load(bytes, names);
  try {
    const places = slice.inputs.map((_, i) => loaded.input(i));
    for (let record = 0; record < records; record++) {
      const given = slice.inputs.map((tensor, i) => state.lend(tensor, record, places[i]!));
      const results = await loaded.run(given);
      for (const [i, tensor] of slice.outputs.entries()) state.put(tensor, record, results[i]!);
    }
    for (const place of places) place.release();
  } finally {
    loaded.close();
  }
}
