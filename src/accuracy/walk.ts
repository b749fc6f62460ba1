/**
 * Walks through a model slice by slice, all records through one slice before the next is loaded: so that what a layer reads is known before the
 * layer runs, and its bias can still be another one.
 *
 *     slice 1, all records ─▶ what layer A reads ─▶ A's bias ─▶ slice 2 with A, all records ─▶ …
 *
 * LiteRT runs in this thread: each slice needs what was decided after the one before.
 */
import { passingSignals } from "../base/interrupt.ts";
import type { Progress } from "../base/output.ts";
import { constantsKnown } from "../calibration/fold.ts";
import { subgraphOf } from "../calibration/graph-facts.ts";
import type { DataSet } from "../calibration/index.ts";
import { instrument } from "../calibration/instrument.ts";
import { compileLibrary, fill, type Instance, openInstance } from "../calibration/litert.ts";
import { MomentGatherer } from "../calibration/moments/gather.ts";
import type { Taps } from "../calibration/moments/taps.ts";
import { type Slice, sliceModel } from "../calibration/slices.ts";
import { Spill, SpillAccess, type SpilledTensor } from "../calibration/spill.ts";
import { needsSteps } from "../calibration/stepwise/needs.ts";
import { rangeOf } from "../model/bytes.ts";
import { type Fill, type Model, serializeModel } from "../model/index.ts";
import { loadKernels } from "../weights/kernels.ts";

/** A layer on the way. Tensors are those of the model's subgraph. */
export interface WalkedLayer {
  readonly input: number;
  readonly bias: number;
  readonly taps: Taps;
  /** Told the mean of what it reads in each record, by number; gives its new bias, or null where that stays. */
  decide(means: readonly Float64Array[]): Float32Array | null;
}

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
  const state = new State(slices, layers, new Set(wanted), data.count, (memoryLimit ?? Number.POSITIVE_INFINITY) / 8);
  try {
    const inputs = Array.from(graph.inputs ?? []);
    let records = 0;
    for await (const record of data.records()) {
      for (const [i, tensor] of inputs.entries()) state.put(tensor, records, record[i]!);
      records++;
    }
    for (const tensor of inputs) state.arrived(tensor);
    const instance = await openInstance(await compileLibrary(fastMath), fastMath);
    const pass = passingSignals();
    for (const [at, slice] of slices.entries()) {
      await pass();
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
  state: State,
  records: number,
  fillWith: Fill | undefined,
): Promise<void> {
  const bytes = await serializeModel(slice.model, { dialect: "tflite", fill: fillWith });
  const names = slice.outputs.map((tensor) => `t${tensor}`);
  const loaded = await instance.load(bytes, names);
  try {
    const tensors = slice.inputs.map((_, i) => loaded.input(i));
    for (let record = 0; record < records; record++) {
      for (const [i, tensor] of slice.inputs.entries()) fill(tensors[i]!, state.of(tensor, record), `tensor ${tensor}`);
      const results = await loaded.run(tensors);
      for (const [i, tensor] of slice.outputs.entries()) {
        results[i]!.look((lent) => state.put(tensor, record, lent.bytes()));
        results[i]!.release();
      }
    }
    for (const tensor of tensors) tensor.release();
  } finally {
    loaded.close();
  }
}

/** Values of tensors that are still read, and biases that are other ones. */
class State {
  private readonly spill: Spill;
  private readonly access = new SpillAccess();
  private readonly places = new Map<number, SpilledTensor>();
  private readonly last = new Map<number, number>();
  private readonly biases = new Map<number, Float32Array>();
  private readonly kernels = loadKernels();

  constructor(
    slices: readonly Slice[],
    private readonly layers: readonly WalkedLayer[],
    private readonly wanted: ReadonlySet<number>,
    private readonly records: number,
    room: number,
  ) {
    this.spill = new Spill(records, room);
    for (const [at, { inputs }] of slices.entries()) for (const tensor of inputs) this.last.set(tensor, at);
  }

  /** The value of a tensor in a record. */
  put(tensor: number, record: number, bytes: Uint8Array): void {
    const place = this.places.get(tensor) ?? this.spill.add(tensor, bytes.length);
    this.places.set(tensor, place);
    this.access.write(place, record, bytes);
  }

  all(tensor: number): readonly Uint8Array[] {
    return Array.from({ length: this.records }, (_, record) => this.of(tensor, record));
  }

  of(tensor: number, record: number): Uint8Array {
    const place = this.places.get(tensor)!;
    const bytes = new Uint8Array(place.bytes);
    this.access.read(place, record, bytes);
    return bytes;
  }

  /** A tensor has its values for all records: layers that read it decide. */
  arrived(tensor: number): void {
    for (const { input, bias, taps, decide } of this.layers) {
      if (input !== tensor) continue;
      const gatherer = new MomentGatherer([{ place: 0, taps, vectors: 0, seed: 0 }], this.kernels);
      const means = Array.from({ length: this.records }, (_, record) => {
        const bytes = this.of(tensor, record);
        gatherer.see(0, new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4));
        return gatherer.take().means;
      });
      const decided = decide(means);
      if (decided) this.biases.set(bias, decided);
    }
  }

  /** The slice with the biases that were decided. */
  withBiases(slice: Slice): Slice {
    const [graph, ...more] = slice.model.subgraphs!;
    const buffers = [...slice.model.buffers!];
    let changed = false;
    for (const [place, tensor] of slice.tensors.entries()) {
      const bias = this.biases.get(tensor);
      const buffer = graph!.tensors![place]!.buffer ?? 0;
      if (!bias || buffer === 0) continue;
      buffers[buffer] = { data: rangeOf(new Uint8Array(bias.buffer, bias.byteOffset, bias.byteLength)) };
      changed = true;
    }
    return changed ? { ...slice, model: { ...slice.model, subgraphs: [graph!, ...more], buffers } } : slice;
  }

  /** Lets go what no later slice reads. */
  forget(at: number): void {
    for (const tensor of [...this.places.keys()]) {
      if ((this.last.get(tensor) ?? -1) > at || this.wanted.has(tensor)) continue;
      this.places.delete(tensor);
      this.spill.drop(tensor);
    }
  }

  close(): void {
    this.access.close();
    this.spill.close();
  }
}
