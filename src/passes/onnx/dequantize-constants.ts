/**
 * ONNX phase 2: DequantizeLinear of a constant is the quantized constant itself (§5.7.2).
 *
 *     w: UINT8 [4, 3] ─▶ Dequantize (s[4], z[4], axis 0) ─▶ y   →   w: UINT8 with s, z along axis 0 ─▶ y
 *
 * ONNX has no 4-bit type here, so uint8 values of 0..15 only stand for one: with zero points 8 they become INT4 (values − 8; the zero
 * points stay 8, as in the reference), with zero points 0..15 UINT4.
 */
import { MinmaxqError, Problems } from "../../base/errors.ts";
import { activeNodes, addNode, type Dtype, describe, type Graph, isConstant, replace } from "../../graph/graph.ts";
import { quantParam } from "../../graph/quantparam.ts";
import type { Constant } from "../../weights/constant.ts";
import { type Context, quantizerOf } from "../context.ts";
import { axisOf, type LinearOperator, linearOperators, parametersOf } from "./custom.ts";

export function foldDequantizedConstants(graph: Graph, context: Context): void {
  const problems = new Problems();
  for (const dequantize of linearOperators(activeNodes(graph), "dequantize")) {
    try {
      foldOne(graph, context, dequantize);
    } catch (error) {
      if (!(error instanceof MinmaxqError)) throw error;
      problems.add(error.message);
    }
  }
  problems.throwIfAny("DequantizeLinear of constants that cannot be used");
}

function foldOne(graph: Graph, context: Context, dequantize: LinearOperator): void {
  const { operator, value, scale, zeroPoint, result } = dequantize;
  if (!isConstant(value) || !isConstant(scale) || !isConstant(zeroPoint)) return;
  if (scale.dtype !== "FLOAT32" || zeroPoint.dtype !== value.dtype) return;
  const parameters = parametersOf(context, dequantize);
  if (!parameters)
    throw new MinmaxqError(`constant "${value.name}": is ${value.dtype}; there are rules for uint8 and int16`);
  if (!parameters.scale.every((each) => each > 0 && Number.isFinite(each)))
    throw new MinmaxqError(`${describe(operator)}: its scale "${scale.name}" must be above 0`);
  if (parameters.scale.length !== parameters.zeroPoint.length)
    throw new MinmaxqError(
      `${describe(operator)}: has ${parameters.scale.length} scales and ${parameters.zeroPoint.length} zero points; there must be as many`,
    );
  const axis = checkedAxis(dequantize, value.shape, parameters.scale.length);
  const quant = quantParam({ ...parameters, axis, provenance: { from: "quantize-dequantize" } });
  const { constant, dtype } = storedForm(context, value.dtype, value.constant, parameters.zeroPoint);
  const { name, shape, tensor, quantAsRead } = value;
  const made = addNode(graph, { kind: "constant", name, dtype, shape, tensor, quant, quantAsRead, constant });
  replace(result, made);
}

/** The channels' axis. A scale for each channel needs an axis of that many. */
function checkedAxis(dequantize: LinearOperator, shape: readonly number[], channels: number): number {
  const given = axisOf(dequantize);
  const axis = given < 0 ? given + shape.length : given;
  if (channels === 1) return Math.max(axis, 0);
  if (shape[axis] !== channels)
    throw new MinmaxqError(
      `${describe(dequantize.operator)}: has ${channels} scales along axis ${given}, but "${dequantize.value.name}" has shape [${shape}]`,
    );
  return axis;
}

function storedForm(
  context: Context,
  dtype: Dtype,
  constant: Constant,
  zeroPoint: BigInt64Array,
): { dtype: Dtype; constant: Constant } {
  if (quantizerOf(context, { dtype })?.symmetric !== false) return { dtype, constant };
  const signed = zeroPoint.every((each) => each === 8n);
  if (!zeroPoint.every((each) => each <= 15n) || !context.scanner.everyByteAtMost(constant, 15))
    return { dtype, constant };
  const { count } = constant;
  const length = Math.ceil(count / 2);
  return {
    dtype: signed ? "INT4" : "UINT4",
    constant: { kind: "nibbles", of: constant, less: signed ? 8 : 0, count, length },
  };
}
