/**
 * QuantizeLinear and DequantizeLinear of ONNX, which importers keep as custom operators (§5.7).
 *
 *     CUSTOM "ONNXQuantizeLinear" (x, scale, zero point) ─▶ q        one result node each, option `axis` as a flexbuffer
 *     CUSTOM "ONNXDequantizeLinear" (q, scale, zero point) ─▶ y
 */
import { toReference } from "flatbuffers/js/flexbuffers.js";
import { describe, isConstant, type Node, resultsOf } from "../../graph/graph.ts";
import type { Constant } from "../../weights/constant.ts";
import { type Context, quantizerOf } from "../context.ts";

export type ConstantNode = Node & { constant: Constant };

/** One of the two operators with its parts. */
export interface LinearOperator {
  readonly operator: Node;
  /** The value that is quantized or dequantized. */
  readonly value: Node;
  readonly scale: Node;
  readonly zeroPoint: Node;
  /** The node of the tensor it yields. */
  readonly result: Node;
}

const CODES = { quantize: "ONNXQuantizeLinear", dequantize: "ONNXDequantizeLinear" } as const;

/** The node as that operator, if it is one with three operands and one result that has users. */
export function asLinear(node: Node | null | undefined, what: keyof typeof CODES): LinearOperator | null {
  if (node?.kind !== "operator" || node.op !== "CUSTOM" || node.customCode !== CODES[what]) return null;
  const [value, scale, zeroPoint] = node.inputs;
  const results = resultsOf(node);
  if (node.inputs.length !== 3 || results.length !== 1 || !value || !scale || !zeroPoint) return null;
  return { operator: node, value, scale, zeroPoint, result: results[0]! };
}

/** The operator that yields a tensor as that operator. */
export function yieldedBy(node: Node, what: keyof typeof CODES): LinearOperator | null {
  return node.kind === "result" ? asLinear(node.inputs[0], what) : null;
}

function isLinear(node: Node): boolean {
  return node.kind === "operator" && node.op === "CUSTOM" && Object.values<string>(CODES).includes(node.customCode);
}

/** Scales and zero points of an operator. Both are small beside weights, so they are read at once. */
export interface LinearParameters {
  readonly scale: Float32Array;
  readonly zeroPoint: BigInt64Array;
}

/** The parameters when they are constants of the kinds that count: FLOAT32 scales, UINT8 or INT16 zero points. */
export function parametersOf(context: Context, { scale, zeroPoint }: LinearOperator): LinearParameters | null {
  if (!isConstant(scale) || !isConstant(zeroPoint) || scale.dtype !== "FLOAT32") return null;
  const integers = integersOf(context, zeroPoint);
  if (!integers) return null;
  return { scale: context.scanner.values(scale.name, scale.constant), zeroPoint: integers };
}

function integersOf(context: Context, { constant, dtype }: ConstantNode): BigInt64Array | null {
  const quantizer = quantizerOf(context, { dtype });
  if (!quantizer) return null;
  const bytes = context.scanner.bytes(constant);
  const integers: ArrayLike<number> = quantizer.bits === 8 ? bytes : new Int16Array(bytes.buffer);
  return BigInt64Array.from(integers, BigInt);
}

/** Option `axis` of the operator; 0 when it is absent. */
export function axisOf({ operator }: LinearOperator): number {
  const bytes = operator.operator?.customOptions;
  if (!bytes || bytes.length === 0) return 0;
  let options: unknown;
  try {
    options = toReference(bytes.slice().buffer).toObject();
  } catch {
    return 0;
  }
  const axis = (options as { axis?: unknown } | null)?.axis;
  return typeof axis === "number" || typeof axis === "bigint" ? Number(axis) : 0;
}

/** The operators of a kind among nodes. */
export function linearOperators(nodes: readonly Node[], what: keyof typeof CODES): LinearOperator[] {
  return nodes.flatMap((node) => asLinear(node, what) ?? []);
}

/** QuantizeLinear and DequantizeLinear that no rule took: the values they stand for would be lost. */
export function describeLeft(active: readonly Node[]): string[] {
  return active
    .filter(isLinear)
    .map(
      (node) =>
        `${describe(node)}: no rule covers it; there are rules for QuantizeLinear → DequantizeLinear on a float32 tensor, and for DequantizeLinear of a constant, each with constant float32 scales and uint8 or int16 zero points of the tensor's dtype`,
    );
}
