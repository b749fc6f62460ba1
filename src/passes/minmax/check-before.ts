/**
 * Before anything changes: weights, biases, gammas and the like must be constants or absent (§2.4), and recorded ranges must make
 * sense. All problems at once.
 */
import { Problems } from "../../base/errors.ts";
import { activeNodes, describe, type Graph, isConstant, type Node } from "../../graph/graph.ts";
import { hasRange } from "../../graph/quantparam.ts";
import { type OperandRole, roleOf } from "../../rules/operators.ts";

export function checkBefore(graph: Graph): void {
  const problems = new Problems();
  for (const node of activeNodes(graph)) {
    if (node.float) continue;
    if (node.kind === "operator") {
      for (const { index, name } of nonConstantOperands(node)) {
        problems.add(`${describe(node)}: ${name} "${node.inputs[index]!.name}" must be a constant`);
      }
    }
    if (node.kind !== "output" && node.dtype === "FLOAT32" && !isConstant(node) && hasRange(node.quant)) {
      const min = node.quant.min[0]!;
      const max = node.quant.max[0]!;
      if (!Number.isFinite(min) || !Number.isFinite(max))
        problems.add(`${describe(node)}: its recorded range is ${min} to ${max}; record it again with finite samples`);
      else if (min > max)
        problems.add(`${describe(node)}: its recorded minimum ${min} is above its maximum ${max}; record it again`);
    }
  }
  problems.throwIfAny("the model cannot be quantized");
}

/** Operands that must be constants and are not. */
export function nonConstantOperands(node: Node): { index: number; name: string }[] {
  const row = node.row;
  return node.inputs.flatMap((operand, index) => {
    const name = requiredConstant(roleOf(row, index));
    return name && operand && !isConstant(operand) ? [{ index, name }] : [];
  });
}

function requiredConstant(role: OperandRole): string | undefined {
  if (role.role === "raw") return role.constant;
  return role.role === "activation" ? undefined : role.name;
}
