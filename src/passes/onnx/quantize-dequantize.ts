/**
 * ONNX phase 1: a pair QuantizeLinear → DequantizeLinear says how its tensor is quantized (§5.7.1).
 *
 *     x: FLOAT32 ─▶ Quantize (s, z: INT16) ─▶ Dequantize (s, z) ─▶ y   →   x: INT16 (s, z) ─▶ y
 *
 * A constant x becomes a quantized copy of its own, `x_quant`; it is computed while the file is written.
 */
import { MinmaxqError, Problems } from "../../base/errors.ts";
import { activeNodes, addNode, describe, type Graph, isConstant, type Node, replace } from "../../graph/graph.ts";
import { perTensor, type QuantParam, sameScaleAndZeroPoint } from "../../graph/quantparam.ts";
import { isQuantized } from "../../rules/dtypes.ts";
import type { Quantizer } from "../../rules/schemes.ts";
import { type Context, quantizerOf } from "../context.ts";
import { asLinear, type ConstantNode, type LinearOperator, parametersOf, yieldedBy } from "./custom.ts";

export function foldPairs(graph: Graph, context: Context): void {
  const problems = new Problems();
  for (const node of activeNodes(graph)) {
    const dequantize = asLinear(node, "dequantize");
    const quantize = dequantize && yieldedBy(dequantize.value, "quantize");
    if (!dequantize || !quantize) continue;
    try {
      foldPair(graph, context, quantize, dequantize);
    } catch (error) {
      if (!(error instanceof MinmaxqError)) throw error;
      problems.add(error.message);
    }
  }
  problems.throwIfAny("pairs of QuantizeLinear and DequantizeLinear that cannot be used");
}

function foldPair(graph: Graph, context: Context, quantize: LinearOperator, dequantize: LinearOperator): void {
  const { value } = quantize;
  const quant = parametersOfPair(context, quantize, dequantize);
  if (!quant) return;
  const dtype = quantize.zeroPoint.dtype;
  if (isConstant(value)) {
    if (value.dtype !== "FLOAT32") return;
    const quantizer = quantizerOf(context, { dtype });
    if (!quantizer?.symmetric)
      throw new MinmaxqError(
        `constant "${value.name}": is quantized to ${dtype} by "${quantize.result.name}"; there is a rule for INT16 only`,
      );
    replace(dequantize.result, quantizedCopy(graph, context, value, quantizer, quant));
  } else if (value.dtype === "FLOAT32") {
    value.quant = quant;
    value.dtype = dtype;
    replace(dequantize.result, value);
  } else if (isQuantized(value) && value.dtype === dtype && sameScaleAndZeroPoint(value.quant!, quant)) {
    // A second pair with the same parameters changes nothing.
    replace(dequantize.result, value);
  } else if (value.quant?.provenance.from === "quantize-dequantize") {
    throw new MinmaxqError(
      `${describe(value)}: two QuantizeLinear give it different parameters, the second is "${quantize.result.name}"; a tensor has one scale and zero point`,
    );
  }
}

/** Scale and zero point of a pair, or null when it is no such pair. Throws when its two halves contradict each other. */
function parametersOfPair(context: Context, quantize: LinearOperator, dequantize: LinearOperator): QuantParam | null {
  const operands = [quantize.scale, quantize.zeroPoint, dequantize.scale, dequantize.zeroPoint];
  if (!operands.every((node) => isConstant(node))) return null;
  const stored = quantize.result.dtype;
  if (quantize.scale.dtype !== "FLOAT32" || dequantize.scale.dtype !== "FLOAT32") return null;
  if (quantize.zeroPoint.dtype !== stored || dequantize.zeroPoint.dtype !== stored) return null;
  const name = describe(quantize.operator);
  if (!quantizerOf(context, { dtype: stored }))
    throw new MinmaxqError(`${name}: quantizes to ${stored}; there are rules for uint8 and int16`);
  const first = parametersOf(context, quantize)!;
  const second = parametersOf(context, dequantize)!;
  const lists = [first.scale, first.zeroPoint, second.scale, second.zeroPoint];
  // Per-channel activations have no place in a tensor's table; such pairs are left, and refused later.
  if (lists.some((list) => list.length !== 1)) return null;
  if (first.scale[0] !== second.scale[0] || first.zeroPoint[0] !== second.zeroPoint[0])
    throw new MinmaxqError(
      `${name}: quantizes with scale ${first.scale[0]}, zero point ${first.zeroPoint[0]}, but ${describe(dequantize.operator)} takes it back with ${second.scale[0]}, ${second.zeroPoint[0]}`,
    );
  if (!(first.scale[0]! > 0)) throw new MinmaxqError(`${name}: has scale ${first.scale[0]}; it must be above 0`);
  return perTensor(first.scale[0]!, Number(first.zeroPoint[0]), { from: "quantize-dequantize" });
}

/** q = round(v / s) + z, the division in f32 (not by the inverse, as elsewhere), clamped to ±32767. */
function quantizedCopy(
  graph: Graph,
  context: Context,
  of: ConstantNode,
  quantizer: Quantizer,
  quant: QuantParam,
): Node {
  const { constant, shape } = of;
  context.scanner.refuseNonFinite(of.name, constant);
  return addNode(graph, {
    kind: "constant",
    name: `${of.name}_quant`,
    dtype: quantizer.dtype,
    shape,
    quant,
    constant: {
      kind: "divided",
      of: constant,
      quantizer,
      scale: quant.scale[0]!,
      zeroPoint: Number(quant.zeroPoint[0]),
      count: constant.count,
      length: (constant.count * quantizer.bits) / 8,
    },
  });
}
