/**
 * int8 → uint8: every int8 value and zero point plus 128, scales as they are (§5.5).
 *
 *     x: INT8, scale s, zero point −3   →   x: UINT8, scale s, zero point 125
 */
import { activeNodes, type Graph } from "../../graph/graph.ts";
import { quantParam } from "../../graph/quantparam.ts";

export function requantize(graph: Graph): void {
  const active = activeNodes(graph);
  for (const node of active) {
    if (!node.quant || node.dtype !== "INT8") continue;
    node.quant = quantParam({ ...node.quant, zeroPoint: node.quant.zeroPoint.map((zeroPoint) => zeroPoint + 128n) });
    node.dtype = "UINT8";
    if (!node.constant) continue;
    const { count, length } = node.constant;
    node.constant = { kind: "shifted", of: node.constant, count, length };
  }
  // A vector has one axis only, whatever the file says.
  for (const node of active) {
    if (node.quant && node.shape.length === 1 && node.quant.axis !== 0)
      node.quant = quantParam({ ...node.quant, axis: 0 });
  }
  graph.outputs.forEach((output, i) => {
    if (output.inputs[0]?.dtype === "UINT8") graph.outputDtypes[i] = output.dtype = "UINT8";
  });
}
