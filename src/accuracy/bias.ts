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
  const four = new Float64Array(4);
  let buffer = new Float64Array(0);
  const ofGroup = (output: number) => {
    const group = Math.floor(output / rowsEach);
    if (group !== own.group) own = { group, means: read(group) };
    return own.means;
  };
  for (const piece of piecesOf(layout, PIECE)) {
    const float = scanner.piece(values, piece);
    const other = scanner.piece(rounded, piece);
    if (buffer.length < float.length) buffer = new Float64Array(float.length);
    const errors = buffer.subarray(0, float.length);
    for (let at = 0; at < errors.length; at++) errors[at] = other[at]! - float[at]!;
    if (kind.weights === "taps") {
      for (const [m, shift] of shifts.entries()) addTaps(errors, piece.first, means[m]!, layer, shift);
      continue;
    }
    for (let at = 0; at < errors.length; ) {
      const output = Math.floor((piece.first + at) / length);
      const first = (piece.first + at) % length;
      const count = Math.min(length - first, errors.length - at);
      const some = ofGroup(output);
      for (let m = 0; m < some.length; m += 4) {
        // Four sums side by side, because one has to wait for itself.
        const [a, b = a!, c = a!, d = a!] = some.slice(m, m + 4);
        fourDots(errors, at, [a!, b, c, d], first, count, four);
        for (let i = 0; i < Math.min(4, some.length - m); i++) shifts[m + i]![output]! += four[i]!;
      }
      at += count;
    }
  }
  return shifts;
}

/** Σ errors[from + k] · mean[first + k], k from 0 up, for four means. A function of its own, so that the engine compiles the loop soon. */
function fourDots(
  errors: Float64Array,
  from: number,
  [m0, m1, m2, m3]: readonly [Float64Array, Float64Array, Float64Array, Float64Array],
  first: number,
  count: number,
  to: Float64Array,
): void {
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let k = 0; k < count; k++) {
    const error = errors[from + k]!;
    a += error * m0[first + k]!;
    b += error * m1[first + k]!;
    c += error * m2[first + k]!;
    d += error * m3[first + k]!;
  }
  to[0] = a;
  to[1] = b;
  to[2] = c;
  to[3] = d;
}

/** The same where values of all rows lie beside each other, tap after tap, and each row reads one channel: sums grow tap by tap. */
function addTaps(
  errors: Float64Array,
  first: number,
  mean: Float64Array,
  { outputs, groups, taps: { channels } }: LinearLayer,
  shift: Float64Array,
): void {
  const each = outputs / groups;
  let tap = Math.floor(first / outputs);
  let output = first % outputs;
  for (let at = 0; at < errors.length; at++) {
    shift[output]! += errors[at]! * mean[tap * channels + (each === 1 ? output : Math.floor(output / each))]!;
    if (++output < outputs) continue;
    output = 0;
    tap++;
  }
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
