/**
 * Operators whose rule wants a bias get one of zeros where they have none.
 *
 *     CONV_2D (x, filter[O,…])   →   CONV_2D (x, filter, bias[O] = 0)
 *
 * The reference needs it (§10.9), and a bias of zeros changes no result. Float operators only: the bias is quantized with the rest.
 */
import { activeNodes, type Graph, type Node, setInput } from "../../graph/graph.ts";
import { rangeOf } from "../../model/bytes.ts";
import { operandsWith } from "../../rules/operators.ts";
import { stored } from "../../weights/constant.ts";
import { addConstant, type Edit } from "./edit.ts";

export function zeroBias(graph: Graph): Edit[] {
  const edits: Edit[] = [];
  for (const node of activeNodes(graph)) {
    const channels = channelsWithoutBias(node);
    if (channels === null) continue;
    const zeros = stored(rangeOf(new Uint8Array(channels * 4)), channels);
    const [at] = operandsWith(node.row, node.row.in.length, "bias");
    setInput(node, at!, addConstant(graph, `${node.name}_bias`, "FLOAT32", [channels], zeros));
    edits.push({ op: node.op, tensor: node.name });
  }
  return edits;
}

/** Number of channels of a float operator that should have a bias and has none; null for all others. */
function channelsWithoutBias(node: Node): number | null {
  const row = node.row;
  if (node.kind !== "operator" || node.dtype !== "FLOAT32" || !row.zeroBias) return null;
  const operand = (role: "bias" | "weights") => node.inputs[operandsWith(row, row.in.length, role)[0]!];
  const weights = operand("weights");
  if (operand("bias") || weights?.dtype !== "FLOAT32") return null;
  const [role] = row.in.filter((each) => each.role === "weights");
  return weights.shape[role!.axis] ?? null;
}
