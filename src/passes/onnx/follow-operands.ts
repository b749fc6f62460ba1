/**
 * ONNX phase 4: operators that only move values have no pair of their own and take their operand's parameters (§5.7.4).
 *
 *     x: INT16 (s, 0) ─▶ RESHAPE: FLOAT32, nothing known   →   RESHAPE: INT16 (s, 0)
 *
 * Repeated until nothing changes, because such operators stand in chains.
 */
import { activeNodes, type Dtype, type Graph, type Node } from "../../graph/graph.ts";
import { forwardFrom, isPerTensor, perTensor, type QuantParam, quantParam } from "../../graph/quantparam.ts";
import type { Quantizer } from "../../rules/schemes.ts";
import { type Context, quantizerOf } from "../context.ts";

const f32 = Math.fround;

interface Received {
  readonly quant: QuantParam;
  readonly dtype: Dtype;
}

/** What a node without parameters takes from its operands, by operator; null = nothing. */
const RULES: Readonly<Record<string, (node: Node, context: Context) => Received | null>> = {
  RESHAPE: fromFirst,
  TRANSPOSE: fromFirst,
  STRIDED_SLICE: fromFirst,
  SQUEEZE: fromFirst,
  GATHER: fromFirst,
  // −x has the same symmetric range; an asymmetric one would be turned over.
  NEG: ofNegative,
  CONCATENATION: fromLargest,
  MUL: ofSquare,
};

/** Whether an operator yields its first operand's values as they are. */
export function movesValues(node: Node): boolean {
  return RULES[node.op] === fromFirst;
}

/** Whether an operator yields its operand's values with the other sign. */
export function turnsOver(node: Node): boolean {
  return RULES[node.op] === ofNegative;
}

/** Returns whether it changed something. */
export function followOperands(graph: Graph, context: Context): boolean {
  let changed = false;
  for (const node of activeNodes(graph)) {
    if (node.kind !== "operator" || node.quant) continue;
    const received = RULES[node.op]?.(node, context);
    if (!received) continue;
    node.quant = received.quant;
    node.dtype = received.dtype;
    changed = true;
  }
  return changed;
}

function fromFirst({ inputs }: Node): Received | null {
  return inputs[0] ? from(inputs[0]) : null;
}

function from(operand: Node): Received | null {
  if (!operand.quant) return null;
  return { dtype: operand.dtype, quant: quantParam({ ...operand.quant, provenance: forwardFrom(operand) }) };
}

function ofNegative(node: Node, context: Context): Received | null {
  return symmetricOf(node.inputs[0], context) ? fromFirst(node) : null;
}

/** The operand's quantizer, if that is symmetric: the rules for others are not known. */
function symmetricOf(operand: Node | null | undefined, context: Context): Quantizer | null {
  const quantizer = operand && quantizerOf(context, operand);
  return quantizer?.symmetric ? quantizer : null;
}

/** The parameters of the operand with the largest scale hold all of them. */
function fromLargest({ inputs }: Node, context: Context): Received | null {
  let largest: Node | null = null;
  for (const operand of inputs) {
    if (!operand || !symmetricOf(operand, context) || !isPerTensor(operand.quant)) return null;
    if (!largest || operand.quant.scale[0]! > largest.quant!.scale[0]!) largest = operand;
  }
  return largest && from(largest);
}

/** x·x reaches (s·32767)², so its scale is s²·32767, in f32. */
function ofSquare({ inputs }: Node, context: Context): Received | null {
  const [x, y] = inputs;
  const quantizer = symmetricOf(x, context);
  if (!x || x !== y || !quantizer || !isPerTensor(x.quant)) return null;
  const s = x.quant.scale[0]!;
  return { dtype: quantizer.dtype, quant: perTensor(f32(f32(s * s) * quantizer.high), 0, forwardFrom(x)) };
}
