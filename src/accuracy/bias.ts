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
import { columnsOf, type LinearLayer } from "./layers.ts";

/** Elements that are looked at together. */
const PIECE = 1 << 20;

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
  const { outputs, length, groups, kind } = layer;
  const shifts = means.map(() => new Float64Array(outputs));
  const rowsEach = outputs / groups;
  // What each row reads of the means, value by value, so that the sums are plain loops.
  const read = (group: number) => {
    if (groups === 1) return means;
    const columns = columnsOf(layer, group);
    return means.map((mean) => {
      const own = new Float64Array(length);
      for (let k = 0; k < length; k++) own[k] = mean[columns[k]!]!;
      return own;
    });
  };
  let own = { group: 0, means: read(0) };
  const ofGroup = (output: number) => {
    const group = Math.floor(output / rowsEach);
    if (group !== own.group) own = { group, means: read(group) };
    return own.means;
  };
  for (const piece of piecesOf(layout, PIECE)) {
    const float = scanner.piece(values, piece);
    const other = scanner.piece(rounded, piece);
    if (kind.weights === "taps") {
      // Rows lie beside each other, and a piece may hold only some of their values.
      for (let i = 0; i < Math.min(outputs, float.length); i++) {
        const output = (piece.first + i) % outputs;
        const some = ofGroup(output);
        for (let at = i; at < float.length; at += outputs) {
          const error = other[at]! - float[at]!;
          const k = Math.floor((piece.first + at) / outputs);
          for (let m = 0; m < some.length; m++) shifts[m]![output]! += error * some[m]![k]!;
        }
      }
      continue;
    }
    const errors = new Float64Array(Math.min(length, float.length));
    for (let at = 0; at < float.length; ) {
      const output = Math.floor((piece.first + at) / length);
      const first = (piece.first + at) % length;
      const count = Math.min(length - first, float.length - at);
      for (let k = 0; k < count; k++) errors[k] = other[at + k]! - float[at + k]!;
      for (const [m, mean] of ofGroup(output).entries()) shifts[m]![output]! += dot(errors, mean, first, count);
      at += count;
    }
  }
  return shifts;
}

/** Σ errors[k] · mean[first + k], k from 0 up. A function of its own, so that the engine compiles the loop soon. */
function dot(errors: Float64Array, mean: Float64Array, first: number, count: number): number {
  let sum = 0;
  for (let k = 0; k < count; k++) sum += errors[k]! * mean[first + k]!;
  return sum;
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
