/**
 * Operators that cannot take every value: kernels end the run where a square root sees a negative number, or a divisor is 0.
 *
 *     RSQRT(x: 0.1…4)    x: INT8 with the zero point −128: no integer stands for less than 0
 *     RSQRT(x: −1…4)     stays float
 *     ADD(x: ±1e6) ─▶ y: ±1 in int16   stays float: y is too fine beside x
 */
import { addQuantize } from "../../graph/edit.ts";
import {
  activeNodes,
  type FloatReason,
  type Graph,
  isConstant,
  type Node,
  ownRange,
  setInput,
} from "../../graph/graph.ts";
import { perTensor, type QuantParam } from "../../graph/quantparam.ts";
import { type ActivationQuantizer, parametersOfRange } from "../../rules/schemes.ts";
import { type Context, leave, schemeOf } from "../context.ts";
import { ownQuantizer } from "./constants.ts";

interface Range {
  readonly min: number;
  readonly max: number;
}

/** Marks operators whose operand has values that they cannot take. Runs when ranges are known, before borders are inserted. */
export function keepOutsideDomains(graph: Graph, context: Context): void {
  for (const node of activeNodes(graph)) {
    const reason = reasonOf(node, context);
    if (reason) leave(context, node, reason);
  }
}

function reasonOf(node: Node, context: Context): FloatReason | null {
  if (node.kind !== "operator" || node.float) return null;
  return reasonOfValues(node, context) ?? reasonOfScales(node, context);
}

function reasonOfValues(node: Node, context: Context): FloatReason | null {
  const { family } = schemeOf(context, node);
  const domain = node.row.families?.[family]?.domain;
  const operand = domain && node.inputs[domain.operand];
  const range = operand && valuesOf(operand, context);
  if (!domain || !range) return null;
  if (domain.not === "negative")
    return range.min < 0 ? outside(operand, `goes down to ${text(range.min)}, and it takes nothing below 0`) : null;
  // What is closer to 0 than half a step becomes 0.
  const least = leastSize(operand, range, context);
  return least > scaleOf(node, domain.operand, range, context) / 2
    ? null
    : outside(operand, "has values that would become 0, and it is a divisor");
}

/** The size of the value that is closest to 0. */
function leastSize(operand: Node, { min, max }: Range, { scanner }: Context): number {
  if (isConstant(operand)) return Math.min(...scanner.values(operand.name, operand.constant).map(Math.abs));
  return min > 0 ? min : max < 0 ? -max : 0;
}

function scaleOf(node: Node, index: number, { min, max }: Range, context: Context): number {
  return parametersOfRange(ownQuantizer(context, node, index), min, max).scale;
}

/** Kernels shift integers by a fixed number of bits: what they cannot hold is wrong, or ends the run. */
function reasonOfScales(node: Node, context: Context): FloatReason | null {
  const { family, activation } = schemeOf(context, node);
  const { finest, coarsest } = node.row.families?.[family] ?? {};
  const most = coarsest?.[activation.dtype];
  const share = finest?.[activation.dtype];
  // Ranges of constants take a scan of their values: not those of every operator's weights.
  if (most === undefined && share === undefined) return null;
  const scales = node.inputs.map((operand, index) => {
    const range = operand && (operand.dtype === "FLOAT32" || isConstant(operand)) ? valuesOf(operand, context) : null;
    return range ? scaleOf(node, index, range, context) : 0;
  });
  if (most !== undefined && scales[0]! >= most)
    return outside(node.inputs[0]!, `has steps of ${text(scales[0]!)}, and its kernel takes less than ${most}`);
  const own = ownRange(node);
  if (share === undefined || !own) return null;
  const { scale } = parametersOfRange(activation, own.min, own.max);
  const coarse = scales.indexOf(Math.max(...scales));
  if (scale >= scales[coarse]! * share) return null;
  return outside(
    node,
    `has steps of ${text(scale)}, too fine beside those of "${node.inputs[coarse]!.name}" (${text(scales[coarse]!)})`,
  );
}

function outside({ name }: Node, what: string): FloatReason {
  return { code: "outside-domain", text: `"${name}" ${what}` };
}

function valuesOf(operand: Node, { scanner }: Context): Range | null {
  if (isConstant(operand)) return operand.dtype === "FLOAT32" ? scanner.range(operand.name, operand.constant) : null;
  return ownRange(operand);
}

/** Where a class of tied tensors gave an operand parameters that its operator cannot take, it gets a Quantize with its own. */
export function keepDomains(graph: Graph, context: Context): void {
  for (const node of activeNodes(graph)) {
    if (node.kind !== "operator" || node.float) continue;
    const { activation, family } = schemeOf(context, node);
    const domain = node.row.families?.[family]?.domain;
    const operand = domain && node.inputs[domain.operand];
    if (!domain || !operand?.quant || isConstant(operand)) continue;
    const own = ownRange(operand);
    if (!own || takes(domain.not, own, operand.quant, activation)) continue;
    const { scale, zeroPoint } = parametersOfRange(activation, own.min, own.max);
    const range = { min: Float32Array.of(own.min), max: Float32Array.of(own.max) };
    const quant = perTensor(scale, zeroPoint, { from: "range", of: operand.name }, range);
    setInput(node, domain.operand, addQuantize(graph, operand, activation.dtype, quant));
  }
}

function takes(not: "negative" | "zero", own: Range, { scale, zeroPoint }: QuantParam, quantizer: ActivationQuantizer) {
  if (not === "negative") return quantizer.symmetric || Number(zeroPoint[0]) === quantizer.low;
  return Math.min(Math.abs(own.min), Math.abs(own.max)) > scale[0]! / 2;
}

const text = (value: number) => String(Number(value.toPrecision(3)));
