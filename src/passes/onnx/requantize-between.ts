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
import { isPerLayer, perLayer, type QuantParam } from "../../graph/quantparam.ts";
import { INT16_LIMIT, UINT8_LEVELS } from "../../rules/arithmetic.ts";
import { isQuantized, parametersOfRange, type QuantizedDtype, SCHEMES } from "../../rules/schemes.ts";

const f32 = Math.fround;

const RULES: Readonly<Record<string, (graph: Graph, node: Node) => void>> = {
  TRANSPOSE: beforeTranspose,
  FULLY_CONNECTED: behindFullyConnected,
  MUL: (graph, node) => {
    if (fusedActivation(node) === "NONE") behindBinary(graph, node);
  },
  BATCH_MATMUL: (graph, node) => {
    if (!option(node, "adjointLhs") && !option(node, "adjointRhs")) behindBinary(graph, node);
  },
};

export function requantizeBetween(graph: Graph): void {
  for (const node of activeNodes(graph)) if (node.kind === "operator") RULES[node.op]?.(graph, node);
}

/** INT16 → UINT8: the operand is requantized first, because a transpose only moves values. */
function beforeTranspose(graph: Graph, node: Node): void {
  const [operand] = node.inputs;
  if (!is(operand, "INT16") || !is(node, "UINT8")) return;
  const quantize = addQuantize(graph, operand, node.dtype, node.quant);
  quantize.name = `${node.name}_Quantize`;
  setInput(node, 0, quantize);
}

/** UINT8 → INT16 without bias: computed in UINT8, requantized behind. */
function behindFullyConnected(graph: Graph, node: Node): void {
  const [input, , bias] = node.inputs;
  if (bias || fusedActivation(node) !== "NONE" || !is(input, "UINT8") || !is(node, "INT16")) return;
  requantizeBehind(graph, node, "UINT8");
}

/** INT16 and INT16 → UINT8: computed in INT16, requantized behind. */
function behindBinary(graph: Graph, node: Node): void {
  const [x, y] = node.inputs;
  if (!is(x, "INT16") || !is(y, "INT16") || !is(node, "UINT8")) return;
  requantizeBehind(graph, node, "INT16");
}

/** Hangs a Quantize operator with a node's parameters behind it; the node gets those of the same range in another dtype. */
export function requantizeBehind(graph: Graph, node: Node, dtype: QuantizedDtype, quant = ofRange(node, dtype)): void {
  insertAfter(node, addQuantize(graph, node, node.dtype, node.quant));
  node.quant = quant;
  node.dtype = dtype;
}

/** Parameters in `dtype` of the range that a node's own parameters cover, f32. */
function ofRange({ quant, dtype: from }: Node, dtype: QuantizedDtype): QuantParam {
  const s = quant!.scale[0]!;
  const z = Number(quant!.zeroPoint[0]);
  const [low, high] = from === "INT16" ? [-INT16_LIMIT, INT16_LIMIT] : [-z, UINT8_LEVELS - z];
  const { scale, zeroPoint } = parametersOfRange(SCHEMES[dtype], f32(s * low), f32(s * high));
  return perLayer(scale, zeroPoint, { from: "range", of: "its Quantize" });
}

function is(node: Node | null | undefined, dtype: QuantizedDtype): node is Node {
  return !!node && node.dtype === dtype && isQuantized(node) && isPerLayer(node.quant);
}
