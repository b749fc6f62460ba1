/** What the layers of a model read while samples run: which layers, which tensors of the copy that runs, and what comes of it. */
import { KeptBytes } from "../calibration/kept-bytes.ts";
import { LayerMoments, Moments } from "../calibration/moments/moments.ts";
import type { MomentRequest, MomentWish } from "../calibration/moments/request.ts";
import { inputLength, vectorsOf } from "../calibration/moments/taps.ts";
import type { Graph, Node } from "../graph/graph.ts";
import { blockwise, type Constant, stored } from "../weights/constant.ts";
import type { InBlocks } from "./block-rounding.ts";
import type { Extremes } from "./equalize/statistics.ts";
import { KeptRecords } from "./kept-records.ts";
import { type LinearLayer, linearLayersOf } from "./layers.ts";

/** A layer and what it reads. */
export interface GatheredLayer {
  readonly layer: LinearLayer;
  readonly moments: LayerMoments;
}

/** Vectors of a layer over all samples: as many as say enough of its covariance, within so many bytes. */
const LEAST_VECTORS = 1024;
/** Where each channel has a matrix of its own, that is small. */
const LEAST_VECTORS_OF_TAPS = 256;
export const MOST_BYTES = 48e6;
/** Bytes of rounded weights that stay in memory; what is beyond lies in a temporary file until the model is written. */
const MOST_ROUNDED = 128e6;

export class Gathered {
  readonly layers: GatheredLayer[] = [];
  /** Samples that steps are tried on; only where they are. */
  readonly kept?: KeptRecords;
  /** Where steps are tried: what the range of each tensor was reduced from. */
  readonly extremes = new Map<Node, Extremes>();
  /** Integers of weights that were rounded. */
  readonly rounded: KeptBytes;
  private readonly nearest = new Map<Constant, Constant>();
  private readonly moments: Moments;

  constructor(
    private readonly graphs: readonly Graph[],
    /** Vectors are taken, too: for the covariance. */
    private readonly vectors: boolean,
    /** `tries`: steps are to be tried; `memoryLimit`: bytes that the process may have. */
    { tries = false, memoryLimit }: { readonly tries?: boolean; readonly memoryLimit?: number } = {},
  ) {
    this.moments = new Moments(memoryLimit);
    this.rounded = new KeptBytes(
      Math.min(MOST_ROUNDED, (memoryLimit ?? Number.POSITIVE_INFINITY) / 8),
      "rounded weights",
    );
    if (tries) this.kept = new KeptRecords(memoryLimit);
  }

  /** What to ask of a run of so many samples. `nodes`: by subgraph and tensor of the copy that runs; `numberOf` a graph its subgraph. */
  request(
    nodes: readonly (readonly (Node | null | undefined)[] | undefined)[],
    numberOf: (graph: Graph) => number,
    samples: number,
  ): MomentRequest {
    const wishes: MomentWish[] = [];
    for (const graph of this.graphs) {
      const subgraph = numberOf(graph);
      const places = new Map((nodes[subgraph] ?? []).map((node, tensor) => [node, tensor]));
      for (const layer of linearLayersOf(graph)) {
        const tensor = places.get(layer.activation);
        if (tensor === undefined) continue;
        const vectors = Math.min(this.vectorsOf(layer, samples), positionsOf(layer));
        const made = this.moments.wish(subgraph, tensor, layer.taps, vectors);
        wishes.push(made.wish);
        this.layers.push({ layer, moments: made.layer });
      }
    }
    const inputs = this.graphs.flatMap(({ inputs }) => inputs);
    const bytes = inputs.reduce((sum, { shape }) => sum + shape.reduce((size, dim) => size * Math.max(1, dim), 4), 0);
    const heldBytes = this.moments.heldBytes(samples) + (this.kept?.heldBytes(samples, bytes) ?? 0);
    return { wishes, heldBytes, begin: (run, records) => this.moments.begin(run, records) };
  }

  /** The layers where no samples run: nothing is known of what they read. */
  withoutSamples(): void {
    for (const graph of this.graphs)
      for (const layer of linearLayersOf(graph)) this.layers.push({ layer, moments: new LayerMoments(layer.taps) });
  }

  /** Of each sample. */
  private vectorsOf({ kind, length, groups }: LinearLayer, samples: number): number {
    if (!this.vectors) return 0;
    const wanted = kind.weights === "taps" ? LEAST_VECTORS_OF_TAPS : Math.max(LEAST_VECTORS, 2 * length);
    const all = Math.max(1, Math.min(wanted, Math.floor(MOST_BYTES / (4 * length * groups))));
    // A quarter of the samples may be held out.
    return Math.ceil(all / Math.max(1, Math.ceil(samples * 0.75)));
  }

  /** Weights to the nearest in blocks, which `find` finds once: they are kept, because trials ask for them several times. */
  nearestInBlocks(of: Constant, block: number, find: () => InBlocks): Constant {
    const known = this.nearest.get(of);
    if (known) return known;
    const { integers, scales } = find();
    const bytes = new Uint8Array(integers.buffer as ArrayBuffer, integers.byteOffset, integers.byteLength);
    const made = blockwise(stored(this.rounded.range(bytes), integers.length), scales, block);
    this.nearest.set(of, made);
    return made;
  }

  /** Weights are rounded: what layers read is no longer needed, but for its means. */
  forgetVectors(): void {
    for (const { moments } of this.layers) moments.forgetVectors();
  }

  /** Bytes of all this that are in memory now. */
  get inMemory(): number {
    return this.moments.inMemory + this.rounded.inMemory + (this.kept?.inMemory ?? 0);
  }

  close(): void {
    this.moments.close();
    this.rounded.close();
  }
}

/** How many vectors a layer reads of a sample; any number where its sizes are open. */
function positionsOf({ activation: { shape }, taps }: LinearLayer): number {
  const values = shape.reduce((size, dim) => size * (dim > 0 ? dim : Number.POSITIVE_INFINITY), 1);
  return Math.max(1, (values / inputLength(taps)) * vectorsOf(taps));
}
