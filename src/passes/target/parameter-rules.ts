/** What a target takes of scales and zero points: fixed ones, zero points that have to be 0, one scale where there may be more. */
import { type Node, yieldedBy } from "../../graph/graph.ts";
import type { Dtype } from "../../model/tensor-types.ts";
import { schemeWith } from "../../rules/schemes.ts";
import { activationsOf, type Case, isInteger, type Problem, refused } from "./case.ts";

/** The first rule of parameters that an operator breaks; null where there is none. */
export function parameterProblem(one: Case): Problem | null {
  return severalScales(one) ?? otherZeroPoint(one) ?? otherFixed(one) ?? outsideDomain(one);
}

const isQuantized = (tensor: Node) => isInteger(tensor) && (tensor.quant?.scale.length ?? 0) > 0;

function severalScales({ node, row, results, target }: Case): Problem | null {
  // A Dequantize of weights has scales for each channel, and rightly so.
  if (!target.oneScale || row.results) return null;
  const odd = [...activationsOf(node), ...results].find((tensor) => (tensor.quant?.scale.length ?? 0) > 1);
  if (!odd || !isQuantized(odd)) return null;
  return {
    consequence: "wrong",
    kind: "with several scales",
    text: `"${odd.name}" has ${odd.quant!.scale.length} scales, and ${target.runtime} takes one for it; quantize the float model with --target ${target.name}`,
  };
}

function otherZeroPoint({ node, results, target }: Case): Problem | null {
  const odd = [...activationsOf(node), ...results].find(
    (tensor) =>
      isQuantized(tensor) && target.symmetric?.includes(tensor.dtype) && Number(tensor.quant!.zeroPoint[0]) !== 0,
  );
  if (!odd) return null;
  const dtype = odd.dtype.toLowerCase();
  return refused(
    `with an asymmetric ${dtype}`,
    `${target.runtime} takes ${dtype} with zero point 0, and "${odd.name}" has ${odd.quant!.zeroPoint[0]}; quantize the float model with --target ${target.name}`,
  );
}

/** Kernels compare scales of functions with a thousandth of room. */
const ROOM = 1e-3;

function otherFixed({ node, row, target }: Case): Problem | null {
  for (const result of yieldedBy(node)) {
    const fixed = isQuantized(result) ? row.fixed?.[result.dtype] : undefined;
    if (!fixed) continue;
    const { scale, zeroPoint } = result.quant!;
    if (Math.abs(scale[0]! - fixed.scale) <= fixed.scale * ROOM && Number(zeroPoint[0]) === fixed.zeroPoint) continue;
    return refused(
      "with parameters that are not its own",
      `${target.runtime} wants scale ${fixed.scale} and zero point ${fixed.zeroPoint} of its ${result.dtype.toLowerCase()} result "${result.name}", and it has ${scale[0]} and ${zeroPoint[0]}; quantize the float model with --target ${target.name}`,
    );
  }
  return null;
}

/** Zero points that leave integers for what the kernel ends the run at. */
function outsideDomain({ node, row, target }: Case): Problem | null {
  const operand = row.domain && node.inputs[row.domain.operand];
  if (!operand || !isQuantized(operand)) return null;
  const lowest = lowestOf(operand.dtype);
  // Symmetric integers have negative halves by nature: the kernel looks at each value.
  if (lowest === undefined || Number(operand.quant!.zeroPoint[0]) <= lowest) return null;
  return refused(
    "whose operand may be negative",
    `${target.runtime} ends the run where "${operand.name}" is below 0, and its zero point ${operand.quant!.zeroPoint[0]} allows that; keep the layer float (--layer '${node.name}=float32'), or make the range begin at 0`,
  );
}

function lowestOf(dtype: Dtype): number | undefined {
  const activation = schemeWith("litert", dtype)?.activation;
  return activation && !activation.symmetric ? activation.low : undefined;
}
