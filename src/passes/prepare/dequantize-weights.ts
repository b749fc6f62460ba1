/**
 * Integer weights of operators that compute in float (dynamic range models) become the floats that they stand for, to be quantized anew.
 *
 *     FULLY_CONNECTED(x: FLOAT32, w: INT8 with scales)   →   FULLY_CONNECTED(x, w: FLOAT32, described as w's values)
 *
 * Nothing is read: the description is that of a DEQUANTIZE behind the constant. Operators without a rule stay float and keep their
 * integers; so do weights in a layout of their own and scales that lie outside the quantization table (block-wise).
 */
import {
  activeNodes,
  addNode,
  type Dtype,
  type Graph,
  isConstant,
  type Node,
  setInput,
  yieldedBy,
} from "../../graph/graph.ts";
import { option } from "../../graph/options.ts";
import { quantParam } from "../../graph/quantparam.ts";
import { readAs } from "../../rules/hybrid.ts";
import { hasRule, operandsWith } from "../../rules/operators.ts";
import { type Edit, hasScale } from "./edit.ts";
import { dequantizedConstant } from "./fold-constants.ts";

export function dequantizeWeights(graph: Graph): Edit[] {
  const edits: Edit[] = [];
  const made = new Map<string, Node | null>();
  for (const node of activeNodes(graph)) {
    if (!computesInFloat(node)) continue;
    let replaced = false;
    for (const index of valueOperands(node)) {
      const source = node.inputs[index];
      if (!isConstant(source) || !hasScale(source)) continue;
      // The hybrid kernels of some kinds take UINT8 for int8 (src/rules/hybrid.ts).
      const dtype = readAs(node.op, node.dtype, source.dtype);
      const key = `${source.id} ${dtype}`;
      if (!made.has(key)) made.set(key, asFloat(graph, source, dtype));
      const float = made.get(key);
      if (!float) continue;
      setInput(node, index, float);
      replaced = true;
    }
    if (replaced) edits.push({ op: node.op, tensor: node.name });
  }
  return edits;
}

/** An operator with a rule, computed operands and results of which are float, and weights in the usual layout. */
function computesInFloat(node: Node): boolean {
  if (node.kind !== "operator" || !hasRule(node.row) || Number(option(node, "weightsFormat") ?? 0) !== 0) return false;
  const computed = operandsWith(node.row, node.inputs.length, "activation")
    .map((index) => node.inputs[index])
    .filter((operand) => operand && !isConstant(operand));
  return computed.length > 0 && [...computed, ...yieldedBy(node)].every((tensor) => tensor!.dtype === "FLOAT32");
}

/** Operands that hold values, whatever for. */
function valueOperands(node: Node): number[] {
  const row = node.row;
  return (["weights", "activation", "unit", "bias"] as const).flatMap((role) =>
    operandsWith(row, node.inputs.length, role),
  );
}

function asFloat(graph: Graph, source: Node, dtype: Dtype): Node | null {
  const { shape } = source;
  const zeroPoint = source.quant!.zeroPoint.map((each) => (dtype === source.dtype ? each : 0n));
  const read = { dtype, shape, quant: quantParam({ ...source.quant!, zeroPoint }) };
  const constant = source.constant && dequantizedConstant(read, source.constant);
  if (!constant) return null;
  const { name, tensor } = source;
  const table = tensor && { ...tensor, quantization: undefined, buffer: 0 };
  return addNode(graph, { kind: "constant", name, dtype: "FLOAT32", shape, tensor: table, constant });
}
