/**
 * What rounding to integers adds behind a group of tensors when its channels are divided by s, predicted:
 *
 *     N(s) =  Σ tensors   (R / levels)² / 12 · Σ channels s² · ‖W column‖²            activations: R is the range of x / s
 *           + Σ consumers Σ rows (max |W| · s / levels)² / 12 · Σ channels μ / s²     weights: μ is the mean square of what a row reads
 *
 * For weights with one scale a tensor the largest row counts for all rows, and those of the producers count, too: what rounding adds to row o of
 * theirs is seen through s_o.
 */

import type { Node } from "../../graph/graph.ts";
import type { ChannelTensor } from "./channels.ts";
import { channelsOf, type Group } from "./groups.ts";
import type { ChannelStatistics } from "./statistics.ts";
import { channelRead, type Walked, type Weighing } from "./walk.ts";

/** How a tensor is rounded. */
export interface Rounding {
  /** Steps of the range. */
  readonly levels: number;
  /** The range is as wide below 0 as above it. */
  readonly symmetric: boolean;
}

/** How a layer's weights are rounded. */
export interface WeightRounding {
  /** Steps from 0 to the largest value. */
  readonly levels: number;
  readonly perChannel: boolean;
}

/** Everything that noise is computed from, in numbers. Channels are named by their place among `roots`, −1 for those with the factor 1. */
export interface NoiseFacts {
  readonly channels: number;
  readonly tensors: readonly {
    readonly places: Int32Array;
    readonly min: Float64Array;
    readonly max: Float64Array;
    /** ‖W column‖² over all that read the channel. */
    readonly norms: Float64Array;
    readonly rounding: Rounding;
  }[];
  readonly consumers: readonly {
    /** Of each channel that is read. */
    readonly places: Int32Array;
    /** Row by row: the largest |W| of each channel. */
    readonly peaks: Float32Array;
    /** How many rows read each channel. */
    readonly readers: number;
    /** Mean square times the number of taps. */
    readonly squares: Float64Array;
    readonly rounding: WeightRounding;
  }[];
  /** With one scale a tensor: of each result channel. */
  readonly producers: readonly {
    readonly places: Int32Array;
    readonly peaks: Float64Array;
    readonly norms: Float64Array;
    /** Sum of mean squares of what a row reads. */
    readonly square: number;
    readonly levels: number;
  }[];
}

/** N(s). `s` by place among the roots. */
export function predictedNoise(facts: NoiseFacts, s: ArrayLike<number>): number {
  const at = (place: number) => (place < 0 ? 1 : s[place]!);
  let noise = 0;
  for (const { places, min, max, norms, rounding } of facts.tensors) {
    let [low, high, passed] = [0, 0, 0];
    for (let c = 0; c < places.length; c++) {
      const factor = at(places[c]!);
      low = Math.min(low, min[c]! / factor);
      high = Math.max(high, max[c]! / factor);
      passed += factor * factor * norms[c]!;
    }
    const range = rounding.symmetric ? 2 * Math.max(-low, high) : high - low;
    noise += ((range / rounding.levels) ** 2 / 12) * passed;
  }
  for (const { places, peaks, readers, squares, rounding } of facts.consumers) {
    const columns = places.length;
    let [rows, largest, read] = [0, 0, 0];
    for (let from = 0; from < peaks.length; from += columns) {
      let peak = 0;
      for (let c = 0; c < columns; c++) peak = Math.max(peak, peaks[from + c]! * at(places[c]!));
      rows += peak * peak;
      largest = Math.max(largest, peak);
    }
    if (!rounding.perChannel) rows = readers * largest * largest;
    for (let c = 0; c < columns; c++) read += squares[c]! / at(places[c]!) ** 2;
    noise += (rows / rounding.levels ** 2 / 12) * read;
  }
  for (const { places, peaks, norms, square, levels } of facts.producers) {
    let [largest, passed] = [0, 0];
    for (let o = 0; o < places.length; o++) {
      const factor = at(places[o]!);
      largest = Math.max(largest, peaks[o]! / factor);
      passed += factor * factor * norms[o]!;
    }
    noise += ((largest / levels) ** 2 / 12) * passed * square;
  }
  return noise;
}

/** What the facts are made of. */
export interface NoiseSource {
  readonly walked: Walked;
  readonly statistics: ReadonlyMap<Node, ChannelStatistics>;
  /** Weights as rows of the layer's own order (row-major); read once each. */
  weights(layer: Weighing): Float32Array;
  roundingOf(node: Node): Rounding;
  weightRoundingOf(layer: Weighing): WeightRounding;
}

/** What a layer's weights say: the largest |W| of each row and channel read, ‖W column‖², the largest |W| of each row. */
interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly peaks: Float32Array;
  readonly norms: Float64Array;
  readonly rowPeaks: Float64Array;
  readonly taps: number;
}

/** The facts of a group. */
export function noiseFacts(group: Group, source: NoiseSource): NoiseFacts {
  const { sets } = source.walked;
  const placeOf = new Map(group.roots.map((root, place) => [root, place]));
  const placesOf = (tensor: ChannelTensor) =>
    Int32Array.from(channelsOf(tensor), (channel) => placeOf.get(sets.root(channel)) ?? -1);
  const norms = new Map<number, number>();
  const consumers: NoiseFacts["consumers"][number][] = [];
  for (const layer of group.consumers) {
    const matrix = matrixOf(layer, source.weights(layer));
    const { input } = layer;
    for (const [c, channel] of channelsOf(input).entries()) {
      const root = sets.root(channel);
      norms.set(root, (norms.get(root) ?? 0) + matrix.norms[c]!);
    }
    const rounding = source.weightRoundingOf(layer);
    // A row that reads one channel has that channel's factor, so its rounding is the same whatever that is.
    if (layer.rule.inputs === "own" && rounding.perChannel) continue;
    const { meanSquare } = source.statistics.get(input.node) ?? noStatistics(input.channels);
    consumers.push({
      places: placesOf(input),
      peaks: matrix.peaks,
      readers: layer.rule.inputs === "own" ? matrix.rows / matrix.columns : matrix.rows,
      squares: meanSquare.map((square) => square * matrix.taps),
      rounding,
    });
  }
  const normsOf = (tensor: ChannelTensor) =>
    Float64Array.from(channelsOf(tensor), (channel) => norms.get(sets.root(channel)) ?? 0);
  const producers = group.producers.flatMap((layer) => {
    const rounding = source.weightRoundingOf(layer);
    if (rounding.perChannel) return [];
    const { rowPeaks, taps } = matrixOf(layer, source.weights(layer));
    const { meanSquare } = source.statistics.get(layer.input.node) ?? noStatistics(layer.input.channels);
    const sum = meanSquare.reduce((a, b) => a + b, 0);
    const square = taps * (layer.rule.inputs === "own" ? sum / meanSquare.length : sum);
    const gives = layer.gives!;
    return [{ places: placesOf(gives), peaks: rowPeaks, norms: normsOf(gives), square, levels: rounding.levels }];
  });
  return {
    channels: group.roots.length,
    tensors: group.tensors.map((tensor) => {
      const { min, max } = source.statistics.get(tensor.node) ?? noStatistics(tensor.channels);
      return { places: placesOf(tensor), min, max, norms: normsOf(tensor), rounding: source.roundingOf(tensor.node) };
    }),
    consumers,
    producers,
  };
}

function noStatistics(channels: number): ChannelStatistics {
  const zeros = new Float64Array(channels);
  return { min: zeros, max: zeros, meanSquare: zeros };
}

/** Looks at a layer's weights once. Rows are result channels, columns channels of the input. */
function matrixOf(layer: Weighing, weights: Float32Array): Matrix {
  const { rule, input, node, weightsAt } = layer;
  const { shape } = node.inputs[weightsAt]!;
  const rows = shape[rule.outputs]!;
  const columns = input.channels;
  const own = rule.inputs === "own";
  const peaks = new Float32Array(rows * columns);
  const norms = new Float64Array(columns);
  const rowPeaks = new Float64Array(rows);
  const along = own ? rows : shape[rule.inputs as number]!;
  const each = weights.length / rows;
  const columnOf = Int32Array.from({ length: along }, (_, k) => channelRead(layer, k) % columns);
  for (let i = 0; i < weights.length; i++) {
    const row = own ? i % rows : Math.floor(i / each);
    const column = columnOf[i % along]!;
    const size = Math.abs(weights[i]!);
    const at = row * columns + column;
    if (size > peaks[at]!) peaks[at] = size;
    if (size > rowPeaks[row]!) rowPeaks[row] = size;
    norms[column]! += size * size;
  }
  return { rows, columns, peaks, norms, rowPeaks, taps: own ? each : each / columns };
}
