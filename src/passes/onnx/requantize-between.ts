/**
 * ONNX phase 7: some operators cannot turn one dtype into another, so a Quantize operator is put before or behind them (§4.3).
 *
 *     MUL (x, y: INT16): UINT8 (s, z)   →   MUL: INT16 ─▶ Quantize: UINT8 (s, z)
 *
 * The operator's new parameters cover the range that its old ones covered.
 */

import { addQuantize, insertAfter } from "../../graph/edit.ts";
import { activeNodes, type Graph, type Node, setInput } from "../../graph/graph.ts";
import { fusedActivation, option } from "../../graph/options.ts";
import { isPerTensor, perTensor, type QuantParam } from "../../graph/quantparam.ts";
import { parametersOfRange, type Quantizer, rangeOfParameters } from "../../rules/schemes.ts";
import { type Context, quantizerOf } from "../context.ts";

const RULES: Readonly<Record<string, (graph: Graph, context: Context, node: Node) => void>> = {
  TRANSPOSE: beforeTranspose,
  FULLY_CONNECTED: behindFullyConnected,
  MUL: (graph, context, node) => {
    if (fusedActivation(node) === "NONE") behindBinary(graph, context, node);
  },
  BATCH_MATMUL: (graph, context, node) => {
    if (!option(node, "adjointLhs") && !option(node, "adjointRhs")) behindBinary(graph, context, node);
  },
};

export function requantizeBetween(graph: Graph, context: Context): void {
  for (const node of activeNodes(graph)) if (node.kind === "operator") RULES[node.op]?.(graph, context, node);
}

/** 16 bits → 8 bits: the operand is requantized first, because a transpose only moves values. */
function beforeTranspose(graph: Graph, context: Context, node: Node): void {
  const [operand] = node.inputs;
  if (!operand || !isWider(context, operand, node)) return;
  const quantize = addQuantize(graph, operand, node.dtype, node.quant);
  quantize.name = `${node.name}_Quantize`;
  setInput(node, 0, quantize);
}

/** 8 bits → 16 bits without bias: computed in 8 bits, requantized behind. */
function behindFullyConnected(graph: Graph, context: Context, node: Node): void {
  const [input, , bias] = node.inputs;
  if (bias || fusedActivation(node) !== "NONE" || !input || !isWider(context, node, input)) return;
  requantizeBehind(graph, context, node, quantizerOf(context, input)!);
}

/** 16 bits and 16 bits → 8 bits: computed in 16 bits, requantized behind. */
function behindBinary(graph: Graph, context: Context, node: Node): void {
  const [x, y] = node.inputs;
  if (!x || !y || !isWider(context, x, node) || !isWider(context, y, node)) return;
  requantizeBehind(graph, context, node, quantizerOf(context, x)!);
}

/**
 * Hangs a Quantize operator with a node's parameters behind it; the node itself gets `quantizer`, by default with parameters of the
 * same range.
 */
export function requantizeBehind(
  graph: Graph,
  context: Context,
  node: Node,
  quantizer: Quantizer,
  quant = ofRange(context, node, quantizer),
): void {
  insertAfter(node, addQuantize(graph, node, node.dtype, node.quant));
  node.quant = quant;
  node.dtype = quantizer.dtype;
}

/** Parameters for a quantizer of the range that a node's own parameters cover, f32. */
function ofRange(context: Context, node: Node, quantizer: Quantizer): QuantParam {
  const from = quantizerOf(context, node)!;
  const [low, high] = rangeOfParameters(from, node.quant!.scale[0]!, Number(node.quant!.zeroPoint[0]));
  const { scale, zeroPoint } = parametersOfRange(quantizer, low, high);
  return perTensor(scale, zeroPoint, { from: "range", of: "its Quantize" });
}

/** Both are quantized per tensor, the first with more bits. */
function isWider(context: Context, one: Node, other: Node): boolean {
  const [a, b] = [one, other].map((node) => (isPerTensor(node.quant) ? quantizerOf(context, node) : undefined));
  return a !== undefined && b !== undefined && a.bits > b.bits;
}
