/**
 * What is still infinite when masks are clipped: an operator that has such a constant, or such a range, stays float, and so does what
 * reads the range. For `quantize` only.
 *
 *     x ─▶ ADD(c: 0 or −∞) ─▶ MUL ─▶ y      nothing says how far down MUL looks: ADD and MUL stay float
 */
import { activeNodes, type FloatReason, type Graph, isConstant, type Node, yieldedBy } from "../../graph/graph.ts";
import { operandsWith } from "../../rules/operators.ts";
import { type Context, leave } from "../context.ts";
import { ENDLESS, highest, LARGEST_CONSTANT, lowest, recordedOf } from "./intervals.ts";

/** Marks what stays float for that reason, and notes it. */
export function keepInfinite(graph: Graph, context: Context): void {
  const operators = activeNodes(graph).filter((node) => node.kind === "operator");
  // Readers may have been made before what they read: until nothing changes.
  for (let changed = true; changed; ) {
    changed = false;
    for (const node of operators) {
      if (node.float) continue;
      const reason = reasonOf(node, context);
      if (!reason) continue;
      leave(context, node, reason);
      changed = true;
    }
  }
}

function reasonOf(node: Node, context: Context): FloatReason | null {
  const constant = infiniteConstant(node, context);
  if (constant) return { code: "infinite-constant", text: `its constant "${constant.name}" has infinite values` };
  const tensors = [...node.inputs, ...yieldedBy(node)];
  const infinite = tensors.find((tensor) => tensor && tensor.kind !== "constant" && hasInfiniteRange(tensor));
  return infinite ? { code: "infinite-range", text: `the range of "${infinite.name}" is infinite` } : null;
}

/** A constant that would be quantized by its own values, or is infinite where a neighbour's parameters hold for it. */
function infiniteConstant(node: Node, { scanner }: Context): Node | undefined {
  return operandsWith(node.row, node.inputs.length, "activation")
    .map((index) => node.inputs[index])
    .find((operand) => {
      if (!isConstant(operand) || operand.dtype !== "FLOAT32" || operand.constant.count > LARGEST_CONSTANT)
        return false;
      const { min, max, nans } = scanner.extremes(operand.constant);
      const limit = node.row.constants === "own" ? ENDLESS : Number.MAX_VALUE;
      // NaN is a mistake of the model, which is told.
      return nans === 0 && (min < -limit || max > limit);
    }) as Node | undefined;
}

function hasInfiniteRange(node: Node): boolean {
  const { dtype, quant } = node;
  const range = dtype === "FLOAT32" ? recordedOf(node) : null;
  if (!quant || range === null) return false;
  const mistaken = Number.isNaN(quant.min[0]) || Number.isNaN(quant.max[0]) || highest(range) > ENDLESS;
  // A mask is infinite at its low end. A file's own range that is NaN, or infinite above, is a mistake: it is refused by name.
  if (quant.provenance.from === "file" && mistaken) return false;
  return lowest(range) < -ENDLESS || highest(range) > ENDLESS;
}
