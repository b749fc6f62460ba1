/** Constants quantized by their own values or by a neighbour's parameters: used by several phases (§3.4, §3.7). */

import { MinmaxqError } from "../../base/errors.ts";
import { describe, type Node } from "../../graph/graph.ts";
import { perTensor, type QuantParam, quantParam } from "../../graph/quantparam.ts";
import { inverse } from "../../rules/arithmetic.ts";
import type { OperandRole } from "../../rules/operators.ts";
import { type Granularity, parametersOfRange, type Quantizer, quantizerKey } from "../../rules/schemes.ts";
import {
  type ChannelLayout,
  type Constant,
  channelsAlong,
  emptyParameters,
  encoded,
  wholeTensor,
} from "../../weights/constant.ts";
import { type Context, shared } from "../context.ts";

/**
 * Quantizes a constant in place by the range of its own values: kernel QA or QS (§3.7). A range that it had is kept.
 *
 * Throws a MinmaxqError naming the constant when it is not FLOAT32 or has NaN or infinite values.
 */
export function quantizeByOwnValues(context: Context, node: Node, quantizer: Quantizer): void {
  const constant = floatConstant(node);
  const made = shared(context, constant, `own values ${quantizerKey(quantizer)}`, () => {
    const { min, max } = context.scanner.range(node.name, constant);
    const { scale, zeroPoint, nudgedMin, nudgedMax } = parametersOfRange(quantizer, min, max);
    const quant = perTensor(scale, zeroPoint, { from: "own values" });
    const parameters = {
      scale: quant.scale,
      zeroPoint: quant.zeroPoint,
      nudgedMin: Float32Array.of(nudgedMin),
      nudgedMax: Float32Array.of(nudgedMax),
    };
    const layout = wholeTensor(constant.count);
    return { quant, constant: encoded(constant, { rule: "clip", quantizer, layout, parameters }) };
  });
  const { min, max } = node.quant ?? made.quant;
  node.constant = made.constant;
  node.quant = quantParam({ ...made.quant, min, max });
  node.dtype = quantizer.dtype;
}

/** Quantizes a constant in place with given parameters: kernel QP (§3.4). */
export function quantizeByParameters(context: Context, node: Node, quantizer: Quantizer, quant: QuantParam): void {
  const constant = floatConstant(node);
  context.scanner.refuseNonFinite(node.name, constant);
  const scale = quant.scale[0]!;
  if (!Number.isFinite(inverse(scale)))
    throw new MinmaxqError(`${describe(node)}: cannot be quantized with scale ${scale} of its neighbour`);
  node.constant = encoded(constant, { rule: "propagated", quantizer, scale, zeroPoint: Number(quant.zeroPoint[0]) });
  node.quant = quant;
  node.dtype = quantizer.dtype;
}

/** Weights by the ranges of their channels, which are scanned when the file is written: description and parameters, to be filled in then. */
export function scannedWeights(
  values: Constant,
  quantizer: Quantizer,
  layout: ChannelLayout,
  axis: number,
): { constant: Constant; quant: QuantParam } {
  const parameters = emptyParameters(layout.channels);
  const constant = encoded(values, { rule: "scan", quantizer, layout, parameters });
  const { scale, zeroPoint } = parameters;
  return { constant, quant: quantParam({ scale, zeroPoint, axis, provenance: { from: "own values" } }) };
}

/** Weights that are on the grid of scales already, as integers of these (src/accuracy); all others as `scannedWeights`. */
export function encodedWeights(
  { quant, changes }: Node,
  values: Constant,
  quantizer: Quantizer,
  layout: ChannelLayout,
  axis: number,
): { constant: Constant; quant: QuantParam } {
  const isOnGrid = changes.length > 0 && values.kind === "dequantized" && quant?.scale.length === layout.channels;
  if (!isOnGrid) return scannedWeights(values, quantizer, layout, axis);
  const { min, scale, zeroPoint, provenance } = quant;
  const constant = encoded(values, { rule: "known", quantizer, layout, min, scale });
  return { constant, quant: quantParam({ scale, zeroPoint, axis, provenance }) };
}

/** How weights are seen: one channel per tensor, else channels along the axis that their role says (§3.5.1). */
export function weightLayout(
  user: Node,
  weights: Node,
  role: OperandRole & { role: "weights" },
  granularity: Granularity,
): ChannelLayout {
  const problem = granularity === "channel" ? axisProblem(weights, role) : null;
  if (problem) throw new MinmaxqError(`${describe(user)}: ${problem}`);
  const count = weights.shape.reduce((a, b) => a * b, 1);
  return granularity === "layer" ? wholeTensor(count) : channelsAlong(weights.shape, role.axis);
}

/** Why weights have no channel axis, or null. */
export function axisProblem(weights: Node, role: OperandRole & { role: "weights" }): string | null {
  if (role.axis < weights.shape.length) return null;
  return `${role.name} "${weights.name}" has shape [${weights.shape}], but its channels are expected along axis ${role.axis}`;
}

/** The description of a constant that must be FLOAT32. */
export function floatConstant(node: Node): Constant {
  if (node.dtype !== "FLOAT32" || !node.constant)
    throw new MinmaxqError(`${describe(node)}: is ${node.dtype}; only FLOAT32 constants can be quantized here`);
  return node.constant;
}
