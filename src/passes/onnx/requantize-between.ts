/**
 * ONNX phase 7: some operators cannot turn one dtype into another, so a Quantize operator is put before or behind them (§4.3).
 *
 *     MUL (x, y: INT16): UINT8 (s, z)   →   MUL: INT16 ─▶ Quantize: UINT8 (s, z)
 *
 * The operator's new parameters cover the range that its old ones covered.
 */
import { INT16_LIMIT, UINT8_LEVELS } from "../../arithmetic.ts";
import { addQuantize, insertAfter } from "../../graph/edit.ts";
import { activeNodes, type Graph, type Node, setInput } from "../../graph/graph.ts";
import { fusedActivation, option } from "../../graph/options.ts";
import { isPerLayer, perLayer } from "../../graph/quantparam.ts";
import { isQuantized, parametersOfRange, type QuantizedDtype, SCHEMES } from "../../scheme.ts";

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
  const max = f32(node.quant!.scale[0]! * INT16_LIMIT);
  requantizeBehind(graph, node, "UINT8", -max, max);
}

/** INT16 and INT16 → UINT8: computed in INT16, requantized behind. */
function behindBinary(graph: Graph, node: Node): void {
  const [x, y] = node.inputs;
  if (!is(x, "INT16") || !is(y, "INT16") || !is(node, "UINT8")) return;
  const scale = node.quant!.scale[0]!;
  const zeroPoint = Number(node.quant!.zeroPoint[0]);
  requantizeBehind(graph, node, "INT16", f32(scale * -zeroPoint), f32(scale * (UINT8_LEVELS - zeroPoint)));
}

function requantizeBehind(graph: Graph, node: Node, dtype: QuantizedDtype, min: number, max: number): void {
  insertAfter(node, addQuantize(graph, node, node.dtype, node.quant));
  const { scale, zeroPoint } = parametersOfRange(SCHEMES[dtype], min, max);
  node.quant = perLayer(scale, zeroPoint, { from: "range", of: "its Quantize" });
  node.dtype = dtype;
}

function is(node: Node | null | undefined, dtype: QuantizedDtype): node is Node {
  return !!node && node.dtype === dtype && isQuantized(node) && isPerLayer(node.quant);
}
