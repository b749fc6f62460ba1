/** What a walk (walk.ts) knows between two slices: values of tensors that are still read, and biases that are other ones. */
import type { EngineTensor } from "../calibration/litert.ts";
import { MomentGatherer } from "../calibration/moments/gather.ts";
import type { Taps } from "../calibration/moments/taps.ts";
import type { Slice } from "../calibration/slices.ts";
import { Spill, SpillAccess, type SpilledTensor } from "../calibration/spill.ts";
import { rangeOf } from "../model/bytes.ts";
import { loadKernels } from "../weights/kernels.ts";

/** A layer on the way. Tensors are those of the model's subgraph. */
export interface WalkedLayer {
  readonly input: number;
  readonly bias: number;
  readonly taps: Taps;
  /** Told the mean of what it reads in each record, by number; gives its new bias, or null where that stays. */
  decide(means: readonly Float64Array[]): Float32Array | null;
}

/** Bytes of values that stay where LiteRT has put them. Its memory ends at 2 GiB. */
const ROOM = 768e6;

/** Results stay in LiteRT's memory, where the next slice reads them; what finds no room there is kept outside, or in files where memory is limited. */
export class WalkState {
  /** By tensor, then by record. */
  private readonly held = new Map<number, EngineTensor[]>();
  private room: number;
  private readonly spill: Spill;
  private readonly access = new SpillAccess();
  private readonly places = new Map<number, SpilledTensor>();
  private readonly last = new Map<number, number>();
  private readonly biases = new Map<number, Float32Array>();
  private readonly kernels = loadKernels();

  /** `memoryLimit`: bytes that the process may have; an eighth of it is for values. */
  constructor(
    slices: readonly Slice[],
    private readonly layers: readonly WalkedLayer[],
    private readonly wanted: ReadonlySet<number>,
    private readonly records: number,
    memoryLimit?: number,
  ) {
    this.room = memoryLimit === undefined ? ROOM : Math.min(ROOM, memoryLimit / 8);
    this.spill = new Spill(records, memoryLimit === undefined ? Number.POSITIVE_INFINITY : 0);
    for (const [at, { inputs }] of slices.entries()) for (const tensor of inputs) this.last.set(tensor, at);
  }

  /** Takes a result. Records come in their order. */
  put(tensor: number, record: number, value: EngineTensor): void {
    if (record === 0) {
      const all = sizeOf(value) * this.records;
      if (all <= this.room) {
        this.room -= all;
        this.held.set(tensor, []);
      }
    }
    const held = this.held.get(tensor);
    if (held) {
      held.push(value);
      return;
    }
    value.look((lent) => this.putBytes(tensor, record, lent.bytes()));
    value.release();
  }

  putBytes(tensor: number, record: number, bytes: Uint8Array): void {
    const place = this.places.get(tensor) ?? this.spill.add(tensor, bytes.length);
    this.places.set(tensor, place);
    this.access.write(place, record, bytes);
  }

  /** The value of a tensor for a slice to read: where it is, or in `place`, which is the slice's own. */
  lend(tensor: number, record: number, place: EngineTensor): EngineTensor {
    const held = this.held.get(tensor);
    if (held) return held[record]!;
    place.look((lent) => this.access.read(this.places.get(tensor)!, record, lent.bytes()));
    return place;
  }

  all(tensor: number): readonly Uint8Array[] {
    return Array.from({ length: this.records }, (_, record) => this.look(tensor, record, (bytes) => bytes.slice()));
  }

  /** Shows a value, during the call only. */
  private look<T>(tensor: number, record: number, see: (bytes: Uint8Array) => T): T {
    const held = this.held.get(tensor);
    if (held) return held[record]!.look((lent) => see(lent.bytes()));
    const place = this.places.get(tensor)!;
    const bytes = new Uint8Array(place.bytes);
    this.access.read(place, record, bytes);
    return see(bytes);
  }

  /** A tensor has its values for all records: layers that read it decide. */
  arrived(tensor: number): void {
    for (const { input, bias, taps, decide } of this.layers) {
      if (input !== tensor) continue;
      const gatherer = new MomentGatherer([{ place: 0, taps, vectors: 0, seed: 0 }], this.kernels);
      const means = Array.from({ length: this.records }, (_, record) =>
        this.look(tensor, record, ({ buffer, byteOffset, byteLength }) => {
          gatherer.see(0, new Float32Array(buffer, byteOffset, byteLength / 4));
          return gatherer.take().means;
        }),
      );
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
    for (const tensor of [...this.held.keys(), ...this.places.keys()])
      if ((this.last.get(tensor) ?? -1) <= at && !this.wanted.has(tensor)) this.drop(tensor);
  }

  private drop(tensor: number): void {
    for (const value of this.held.get(tensor) ?? []) {
      this.room += sizeOf(value);
      value.release();
    }
    this.held.delete(tensor);
    if (this.places.delete(tensor)) this.spill.drop(tensor);
  }

  close(): void {
    for (const tensor of [...this.held.keys()]) this.drop(tensor);
    this.access.close();
    this.spill.close();
  }
}

function sizeOf(value: EngineTensor): number {
  return value.look(({ size }) => size);
}
