/**
 * Bias correction: rounded weights Ŵ change what a layer computes by (Ŵ − W)·x̄ on average, x̄ the mean of the vectors that it reads. The bias
 * takes that back; fused activations come behind it. (Nagel et al., Data-Free Quantization, 2019: section 4.2, with the mean of samples.)
 *
 *     b' = b − (Ŵ − W)·x̄ · n·m² / (n·m² + v)     m, v: mean of the correction over n groups of samples, and its variance between them
 */
import { type Node, setInput } from "../graph/graph.ts";
import { rangeOf } from "../model/bytes.ts";
import type { Context } from "../passes/context.ts";
import { addConstant } from "../passes/prepare/edit.ts";
import { type ChannelLayout, type Constant, stored } from "../weights/constant.ts";
import { piecesOf } from "../weights/pieces.ts";
import type { ConstantScanner } from "../weights/scan.ts";
import type { LinearLayer } from "./layers.ts";
import { addProducts } from "./products.ts";

/** Elements that are looked at together. */
const PIECE = 1 << 18;

/**
 * What the rounding of weights adds to each channel of a layer's result on average, for each of several means of its vectors: sums in float64,
 * in the order of the weights. `layout`: how `rounded` is cut.
 */
export function shiftsOf(
  scanner: ConstantScanner,
  layer: LinearLayer,
  { values, rounded, layout }: { values: Constant; rounded: Constant; layout: ChannelLayout },
  means: readonly Float64Array[],
): Float64Array[] {
  const shifts = means.map(() => new Float64Array(layer.outputs));
  let buffer = new Float64Array(0);
  for (const piece of piecesOf(layout, PIECE)) {
    const float = scanner.piece(values, piece);
    const other = scanner.piece(rounded, piece);
    if (buffer.length < float.length) buffer = new Float64Array(float.length);
    const errors = buffer.subarray(0, float.length);
    for (let at = 0; at < errors.length; at++) errors[at] = other[at]! - float[at]!;
    addProducts(layer, errors, piece.first, means, shifts);
  }
  return shifts;
}

/** The mean of shifts of several groups of samples, each value less as it varies between them. */
export function shrunkMean(shifts: readonly Float64Array[]): Float64Array {
  const n = shifts.length;
  return shifts[0]!.map((_, channel) => {
    const each = shifts.map((shift) => shift[channel]!);
    const mean = each.reduce((a, b) => a + b, 0) / n;
    if (n === 1 || mean === 0) return mean;
    const variance = each.reduce((sum, one) => sum + (one - mean) ** 2, 0) / (n - 1);
    return (mean * n * mean * mean) / (n * mean * mean + variance);
  });
}

/** Takes shifts from a layer's bias, which it gets where it has none. False where its kind takes no bias. */
export function takeFromBias(
  context: Context,
  layer: LinearLayer,
  shift: Float64Array,
  how: "input mean" | "measured",
): boolean {
  const { graph, node, biasAt, outputs } = layer;
  if (biasAt === undefined) return false;
  const before = node.inputs[biasAt];
  const values = before ? context.scanner.values(before.name, before.constant!) : new Float32Array(outputs);
  const corrected = Float32Array.from(values, (value, channel) => value - shift[channel]!);
  const constant = stored(rangeOf(new Uint8Array(corrected.buffer)), outputs);
  const name = before?.name ?? `${node.name}_bias`;
  const bias = addConstant(graph, name, "FLOAT32", before?.shape ?? [outputs], constant) as Node;
  bias.tensor = before?.tensor ?? null;
  const most = shift.reduce((largest, each) => Math.max(largest, Math.abs(each)), 0);
  bias.changes = [...(before?.changes ?? []), { by: "bias correction", how, most }];
  setInput(node, biasAt, bias);
  return true;
}
