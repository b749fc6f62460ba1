/** An operator as rules of targets look at it, and what they say of it. */
import { type Node, yieldedBy } from "../../graph/graph.ts";
import { operandsWith } from "../../rules/operators.ts";
import type { Consequence, Target, TargetOperator } from "../../rules/targets.ts";
import type { ConstantScanner } from "../../weights/scan.ts";

/** What is wrong with one operator. */
export interface Problem {
  readonly consequence: Consequence;
  /** What operators of a kind have in common, for counting them: "per channel". */
  readonly kind: string;
  /** What is wrong, and what to do, for this one. */
  readonly text: string;
  /** There is no kernel for it at all: no matter where another computes it. */
  readonly missing?: true;
}

/** An operator as its target's rules look at it. */
export interface Case {
  readonly node: Node;
  readonly row: TargetOperator;
  readonly results: readonly Node[];
  readonly target: Target;
  readonly scanner: ConstantScanner;
}

export const refused = (kind: string, text: string): Problem => ({ consequence: "refused", kind, text });

/** Operands that are numbers to compute with: where the operator table knows no roles, all of them. */
export function activationsOf(node: Node): Node[] {
  const row = node.row;
  const ruled = operandsWith(row, node.inputs.length, "activation");
  const indices = ruled.length > 0 ? ruled : node.inputs.keys();
  return [...indices].flatMap((index) => node.inputs[index] ?? []);
}

export function weightsOf(node: Node): Node | undefined {
  const [index] = operandsWith(node.row, node.inputs.length, "weights");
  const weights = index === undefined ? null : node.inputs[index];
  return weights ?? undefined;
}

/** Indices, shapes and booleans are no numbers that a scale could belong to. */
export function isNumber({ dtype }: Node): boolean {
  return !["INT32", "INT64", "BOOL", "STRING"].includes(dtype);
}

export function isInteger(node: Node): boolean {
  return isNumber(node) && node.dtype !== "FLOAT32";
}

/** An operator that computes with quantized values. */
export function isQuantizedNode(node: Node): boolean {
  return [...activationsOf(node), ...yieldedBy(node)].some(
    (tensor) => isInteger(tensor) && (tensor.quant?.scale.length ?? 0) > 0,
  );
}

export function nameOf({ op, customCode }: Node): string {
  return op === "CUSTOM" ? `CUSTOM:${customCode}` : op;
}
