/** Edits that the passes of this folder share. */
import {
  addNode,
  type Dtype,
  type Graph,
  isConstant,
  type Node,
  replace,
  resultsOf,
  setInput,
} from "../../graph/graph.ts";
import type { Constant } from "../../weights/constant.ts";
import type { Context } from "../context.ts";

/** What a pass did once: `op` went (into an `into`), or is what it happened to. */
export interface Edit {
  readonly op: string;
  readonly into?: string;
  /** Name of the tensor that it is about: the one that is left. */
  readonly tensor: string;
}

/** "12 RELU, 1 RELU6", "3 MUL into CONV_2D, 1 ADD into FULLY_CONNECTED": most frequent first. */
export function tally(edits: readonly Edit[]): string {
  const counts = new Map<string, number>();
  for (const { op, into } of edits) {
    const what = into ? `${op} into ${into}` : op;
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  return sorted.map(([what, count]) => `${count} ${what}`).join(", ");
}

/** Whether `user` is the only reader of a tensor (no other operator, no output) and reads it once. */
export function isReadOnlyBy(node: Node, user: Node): boolean {
  return node.users.size === 1 && user.inputs.filter((operand) => operand === node).length === 1;
}

/** The shape with what the file says about unknown dims; undefined dims are below 0. */
export function declaredShape({ shape, tensor }: Node): readonly number[] {
  const signature = tensor?.shapeSignature;
  return signature?.length === shape.length ? shape.map((dim, i) => (signature[i]! < 0 ? -1 : dim)) : shape;
}

/** No dim is unknown. */
export function isStatic(node: Node): boolean {
  return declaredShape(node).every((dim) => dim >= 0);
}

/** Has a scale: its values stand for others. */
export function hasScale({ quant }: Node): boolean {
  return (quant?.scale.length ?? 0) > 0;
}

/** A float32 constant that says what it means: no scale that belongs to its values (fake-quantized weights have one). */
export function isPlainFloat(node: Node | null | undefined): node is Node & { constant: Constant } {
  return isConstant(node) && node.dtype === "FLOAT32" && !hasScale(node);
}

/**
 * Puts `first` in the place of `last`, its only reader: an operator of first's kind that yields last's tensor. A setting that
 * only first had (mixed precision) goes with it. Call it only when `mayMerge`.
 */
export function merge(
  graph: Graph,
  context: Context,
  first: Node,
  last: Node,
  changes: Partial<Pick<Node, "options" | "version">> & { inputs?: readonly (Node | null)[] } = {},
): Node {
  const { op, customCode } = first;
  const { name, dtype, shape, tensor, quant, quantAsRead } = last;
  const version = changes.version ?? first.version;
  const merged = addNode(graph, {
    ...{ kind: "operator", op, customCode, version, name, dtype, shape, tensor, quant, quantAsRead },
    // The operator's table names its version; without it the version of the node counts.
    operator: version === first.version ? first.operator : null,
    options: changes.options === undefined ? first.options : changes.options,
    inputs: changes.inputs ?? first.inputs,
  });
  const setting = context.layers.get(first.name);
  if (setting && !context.layers.has(name)) context.layers.set(name, setting);
  replace(last, merged);
  retire(last);
  retire(first);
  return merged;
}

/** Layers that were given different settings stay apart. */
export function mayMerge({ layers }: Context, first: Node, last: Node): boolean {
  const [a, b] = [layers.get(first.name), layers.get(last.name)];
  return !a || !b || (a.scheme === b.scheme && a.granularity === b.granularity && a.weights === b.weights);
}

/** Puts a constant in the place of a computed tensor. Its table keeps nothing that was said of the computed one. */
export function becomeConstant(graph: Graph, node: Node, constant: Constant): void {
  const { name, dtype, shape, tensor } = node;
  const table = tensor && {
    ...tensor,
    shapeSignature: undefined,
    quantization: undefined,
    sparsity: undefined,
    buffer: 0,
  };
  replace(node, addNode(graph, { kind: "constant", name, dtype, shape, tensor: table, constant }));
}

/** Takes an operator that is not needed any more out of its operands' users, so that it does not count as one. */
export function retire(operator: Node): void {
  for (const result of resultsOf(operator)) setInput(result, 0, null);
  operator.inputs.forEach((_, index) => {
    setInput(operator, index, null);
  });
}

/** Number of elements of a static shape. */
export function countOf({ shape }: Node): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** A constant of `dtype` and `shape` that a pass makes. */
export function addConstant(
  graph: Graph,
  name: string,
  dtype: Dtype,
  shape: readonly number[],
  constant: Constant,
): Node {
  return addNode(graph, { kind: "constant", name, dtype, shape, constant });
}
