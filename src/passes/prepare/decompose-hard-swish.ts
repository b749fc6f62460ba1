/**
 * A gate that is linear around 0 becomes operators that every runtime has quantized.
 *
 *     x ─▶ HARD_SWISH y   →   x ─▶ ADD 3 (RELU6) ─▶ MUL (by 1/6) ─▶ MUL y
 *                             x ────────────────────────────────────┘
 *
 * In float the numbers are the same but for the last bits: x · min(max(x + 3, 0), 6) · (1/6). Quantized, two more results are rounded.
 */
import { activeNodes, type Graph } from "../../graph/graph.ts";
import { hasRange } from "../../graph/quantparam.ts";
import type { Edit } from "./edit.ts";
import { addBeside, added, addScalar, multiplied, putInPlaceOf } from "./rewrite.ts";

export function decomposeHardSwish(graph: Graph): Edit[] {
  const edits: Edit[] = [];
  for (const y of activeNodes(graph)) {
    const x = y.inputs[0];
    if (y.kind !== "operator" || !y.row.gated || y.dtype !== "FLOAT32" || x?.dtype !== "FLOAT32") continue;
    const ends = hasRange(x.quant) ? [shifted(x.quant.min[0]!), shifted(x.quant.max[0]!)] : null;
    const three = addScalar(graph, `${y.name}_three`, 3);
    const sixth = addScalar(graph, `${y.name}_sixth`, 1 / 6);
    const sum = addBeside(graph, y, "shifted", added(x, three, "RELU6"), ends && [ends[0]!, ends[1]!]);
    const gate = addBeside(graph, y, "gate", multiplied(sum, sixth), ends && [ends[0]! / 6, ends[1]! / 6]);
    putInPlaceOf(graph, y, multiplied(x, gate));
    edits.push({ op: y.op, tensor: y.name });
  }
  return edits;
}

const shifted = (value: number) => Math.min(Math.max(value + 3, 0), 6);
