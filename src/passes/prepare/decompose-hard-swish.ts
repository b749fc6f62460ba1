/**
 * An operator that multiplies its operand by a gate of itself becomes the operators that the gate consists of, for runtimes without its
 * kernel. The order of the operators is that of ONE's optimizer.
 *
 *     x ─▶ HARD_SWISH y   →   x ─▶ ADD (3) ─▶ RELU6 ─▶ MUL (1/6) ─▶ MUL (x) y
 */
import { activeNodes, type Graph } from "../../graph/graph.ts";
import { hasRange } from "../../graph/quantparam.ts";
import type { Edit } from "./edit.ts";
import { activated, addBeside, added, addScalar, multiplied, putInPlaceOf } from "./rewrite.ts";

export function decomposeHardSwish(graph: Graph): Edit[] {
  const edits: Edit[] = [];
  for (const y of activeNodes(graph)) {
    const { gate } = y.row;
    const x = y.inputs[0];
    if (y.kind !== "operator" || !gate || y.dtype !== "FLOAT32" || x?.dtype !== "FLOAT32") continue;
    const { shift, activation, top } = gate;
    const known = hasRange(x.quant) ? ([x.quant.min[0]! + shift, x.quant.max[0]! + shift] as const) : null;
    const clamped = known && ([clamp(known[0], top), clamp(known[1], top)] as const);
    const constant = (suffix: string, value: number) => addScalar(graph, `${y.name}_${suffix}`, value);
    const sum = addBeside(graph, y, "shifted", added(x, constant("shift", shift)), known);
    const limited = addBeside(graph, y, "limited", activated(sum, activation), clamped);
    const scaled = multiplied(limited, constant("factor", 1 / top));
    const opened = addBeside(graph, y, "gate", scaled, clamped && [clamped[0] / top, clamped[1] / top]);
    putInPlaceOf(graph, y, multiplied(x, opened));
    edits.push({ op: y.op, tensor: y.name });
  }
  return edits;
}

function clamp(value: number, top: number): number {
  return Math.max(0, Math.min(top, value));
}
