/**
 * Kernels that do not round to the nearest, in a float model: what they do comes in front of the Quantize that rounds to the nearest.
 *
 * *Twice*: sums are multiplied by a mantissa of 31 bits and rounded, then divided by a power of two and rounded again:
 *
 *     sum · scales / scale of the result = sum · m · 2⁻ⁿ, m in [½, 1)     result = round(round(sum · m) · 2⁻ⁿ)
 *     [conv: FLOAT32] ─▶ Q ─▶ DQ   →   [conv: FLOAT32] ─▶ MUL 2ⁿ/scale ─▶ ADD ½ ─▶ FLOOR ─▶ MUL scale·2⁻ⁿ ─▶ Q ─▶ DQ
 *
 * For n = 1, a quarter of all results is one step higher than a single rounding says: 2.25 becomes 2.5, and that 3.
 *
 * *Down*: the fraction is cut off.
 *
 *     [resize: FLOAT32] ─▶ Q ─▶ DQ   →   [resize: FLOAT32] ─▶ ADD −scale/2 ─▶ Q ─▶ DQ
 *
 * *Outward*: what is half between two steps goes away from zero. Halves are frequent in sums
 * where an operand's scale is half of the result's, and a division of floats may miss them:
 *
 *     [add: FLOAT32] ─▶ Q ─▶ DQ   →   [add: FLOAT32] ─▶ MUL 1 + 2⁻²⁰ ─▶ Q ─▶ DQ
 *
 * *Up*: halves go up, also negative ones, since the kernel adds a half to integers and cuts off.
 *
 *     [resize: FLOAT32] ─▶ Q ─▶ DQ   →   [resize: FLOAT32] ─▶ ADD scale·2⁻¹⁴ ─▶ Q ─▶ DQ
 *
 * Which kernel does what is a column of the target (src/rules/targets), measured with --each of scripts/check-onert.py and check-litert.py.
 */
import type { Graph, Node } from "../../graph/graph.ts";
import { rangeOf } from "../../model/bytes.ts";
import { isActivationDtype } from "../../rules/dtypes.ts";
import { operandsWith } from "../../rules/operators.ts";
import type { Target } from "../../rules/targets.ts";
import { stored } from "../../weights/constant.ts";
import { addConstant } from "../prepare/edit.ts";
import { addBeside, added, addScalar, floored, type Made, multiplied } from "../prepare/rewrite.ts";

/** What comes before the rounding to the nearest: steps of a first rounding, by channel of the result or one for all; a shift of all values; or a factor. */
export type KernelRounding =
  | { readonly steps: Float32Array }
  | { readonly shift: number }
  | { readonly factor: number };

/**
 * Bits past which the first rounding moves less than one result in four thousand, and floats could not hold its steps: no kernel that
 * shifts by more, and none that does not shift, is followed closer.
 */
const MOST_BITS = 11;

/** What is half between two steps goes outward, as in the kernels, whatever a division of floats makes of it. */
const OUTWARD = 1 + 2 ** -20;

/** Part of a step that decides what is at a border, whatever a division of floats makes of it. */
const LITTLE = 2 ** -14;

/** How the kernel of a quantized operator rounds; null where it rounds to the nearest, or nothing is known of it. */
export function kernelRounding(node: Node, target: Target): KernelRounding | null {
  if (node.kind !== "operator" || !node.quant?.scale.length || !isActivationDtype(node.dtype)) return null;
  const how = target.operators()[node.op]?.rounds?.[node.dtype];
  const scale = node.quant.scale[0]!;
  if (how === "down") return { shift: scale * (LITTLE - 0.5) };
  if (how === "up") return { shift: scale * LITTLE };
  if (how === "outward") return { factor: OUTWARD };
  return how === "twice" ? twice(node, scale) : null;
}

function twice(node: Node, scale: number): KernelRounding | null {
  const factors = (["activation", "weights"] as const)
    .flatMap((role) => operandsWith(node.row, node.inputs.length, role))
    .map((index) => node.inputs[index]?.quant?.scale ?? new Float64Array());
  if (factors.some(({ length }) => length === 0)) return null;
  const bits = Array.from({ length: Math.max(...factors.map(({ length }) => length)) }, (_, channel) =>
    bitsOf(factors.reduce((product, each) => product * each[each.length === 1 ? 0 : channel]!, 1) / scale),
  );
  if (bits.every((count) => count === 0)) return null;
  return {
    steps: Float32Array.from(bits, (count) => scale * 2 ** -(count === 0 ? MOST_BITS : Math.min(count, MOST_BITS))),
  };
}

/** Bits that a product is shifted to the right by, after its multiplication by a mantissa in [½, 1). */
function bitsOf(factor: number): number {
  return Math.max(0, -1 - Math.floor(Math.log2(factor)));
}

/** Does what comes first behind an operator that is float by now; gives the new operators, the last of which is the result. */
export function roundFirst(graph: Graph, node: Node, rounding: KernelRounding): Node[] {
  const { name } = node;
  const made: Node[] = [];
  const beside = (suffix: string, how: Made) => {
    const operator = addBeside(graph, node, suffix, how, null);
    made.push(operator);
    return operator;
  };
  if ("shift" in rounding) {
    beside("down", added(node, addScalar(graph, `${name}_half`, rounding.shift)));
    return made;
  }
  if ("factor" in rounding) {
    beside("outward", multiplied(node, addScalar(graph, `${name}_outward`, rounding.factor)));
    return made;
  }
  const { steps } = rounding;
  const perStep = vector(
    graph,
    `${name}_per_step`,
    steps.map((step) => 1 / step),
  );
  const raised = added(beside("in_steps", multiplied(node, perStep)), addScalar(graph, `${name}_half`, 0.5));
  const whole = beside("whole", floored(beside("raised", raised)));
  beside(
    "rounded_once",
    multiplied(
      whole,
      vector(
        graph,
        `${name}_step`,
        steps.map((step) => step * OUTWARD),
      ),
    ),
  );
  return made;
}

function vector(graph: Graph, name: string, values: Float32Array): Node {
  const content = stored(rangeOf(new Uint8Array(values.buffer)), values.length);
  return addConstant(graph, name, "FLOAT32", [values.length], content);
}
