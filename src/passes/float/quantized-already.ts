/**
 * What a file has quantized already: `quantize` leaves it as it is, whatever its scheme, and quantizes the rest around it.
 *
 *     x: FLOAT32 ─▶ QUANTIZE q: INT8 ─▶ FULLY_CONNECTED: INT8 ─▶ DEQUANTIZE y: FLOAT32
 *     →  x: UINT8 ─▶ Dequantize ─▶ QUANTIZE q: INT8 ─▶ FULLY_CONNECTED: INT8 ─▶ DEQUANTIZE y ─▶ Quantize: UINT8
 */
import { activeNodes, type FloatReason, type Graph, isConstant, type Node, yieldedBy } from "../../graph/graph.ts";
import { isActivationDtype } from "../../rules/dtypes.ts";
import { QUANTIZED_ALREADY } from "../context.ts";
import { hasScale } from "../prepare/edit.ts";

/** Whether an operator computes, makes or reads quantized values. Weights alone do not count: their operator computes in float. */
export function isQuantizedAlready(node: Node): boolean {
  return quantizedTensor(node) !== undefined;
}

/** The reason of such an operator. */
export function reasonToKeep(node: Node): FloatReason {
  const { name, dtype } = quantizedTensor(node)!;
  return { code: QUANTIZED_ALREADY, text: `"${name}" is ${dtype} already` };
}

function quantizedTensor(node: Node): Node | undefined {
  const computed = node.inputs.filter((operand): operand is Node => operand !== null && !isConstant(operand));
  return [...yieldedBy(node), ...computed].find((tensor) => isActivationDtype(tensor.dtype) && hasScale(tensor));
}

/** Whether operators of graphs that were marked leave nothing to quantize: all that touch float32 only lead into and out of what is quantized. */
export function isWhollyQuantized(graphs: readonly Graph[]): boolean {
  const operators = graphs.flatMap(activeNodes).filter(({ kind }) => kind === "operator");
  const touchesFloat = (node: Node) =>
    [...node.inputs, ...yieldedBy(node)].some((tensor) => tensor?.dtype === "FLOAT32");
  return (
    operators.some(isQuantizedAlready) && operators.every((node) => isQuantizedAlready(node) || !touchesFloat(node))
  );
}
