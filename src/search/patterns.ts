/**
 * Operators that compute a known formula together, and which of them need more bits than the others (§8.2):
 *
 *     layer norm   ifm ─▶ MEAN ─▶ SUB(ifm, mean) ─▶ MUL(sub, sub) ─▶ MEAN ─▶ ADD(ε) ─▶ RSQRT ─▶ MUL(sub, rsqrt)
 *                         low     low               high             high    high      high     low
 *     softmax      ifm ─▶ REDUCE_MAX ─▶ SUB(ifm, max) ─▶ EXP ─▶ SUM ─▶ DIV(exp, sum)
 *                  low    low           high            high    low    low
 *
 * A pattern is by the kinds of its operators: it says what a formula looks like, not how an operator is quantized.
 */
import { activeNodes, type Graph, isConstant, type Node } from "../graph/graph.ts";
import { option } from "../graph/options.ts";
import type { Constant } from "../weights/constant.ts";

/** One place where a formula was found. */
export interface Found {
  readonly high: readonly Node[];
  readonly low: readonly Node[];
}

/** Reads whole numbers of a small constant; undefined where it is no INT32 constant. */
export type ReadIndexes = (node: Node & { readonly constant: Constant }) => readonly number[] | undefined;

export interface Pattern {
  /** What people call it. */
  readonly name: string;
  /** The formula that ends in a node, if it does. */
  readonly match: (end: Node, indexes: ReadIndexes) => Found | null;
}

export const PATTERNS = {
  layerNorm: { name: "layer normalization", match: layerNorm },
  softmax: { name: "softmax of single operators", match: softmax },
} as const satisfies Record<string, Pattern>;

/** All places of a formula, in the order of the graph. */
export function findPattern(graph: Graph, pattern: Pattern, indexes: ReadIndexes): Found[] {
  return activeNodes(graph).flatMap((node) => pattern.match(node, indexes) ?? []);
}

/** Unlike ONE's, the mean must be that of what it is subtracted from: otherwise it is another formula. */
function layerNorm(end: Node, indexes: ReadIndexes): Found | null {
  return eitherWay(end, "MUL", (sub, root) => {
    const add = operand(root, "RSQRT", 0);
    if (!is(sub, "SUB") || !add) return null;
    const [ifm, mean] = sub.inputs;
    if (!is(mean, "MEAN") || mean.inputs[0] !== ifm) return null;
    const rest = eitherWay(add, "ADD", (epsilon, variance) => {
      const square = operand(variance, "MEAN", 0);
      const isSquare = is(square, "MUL") && square.inputs.every((each) => each === sub);
      if (!isConstant(epsilon) || epsilon.constant.count !== 1 || !isSquare) return null;
      return { variance: variance!, square };
    });
    if (!rest) return null;
    const [first, second] = [axesOf(mean, indexes), axesOf(rest.variance, indexes)];
    if (!first || !second || first.join() !== second.join()) return null;
    return { high: [rest.square, rest.variance, add, root!], low: [mean, sub, end] };
  });
}

function softmax(end: Node, indexes: ReadIndexes): Found | null {
  if (!is(end, "DIV")) return null;
  const [exp, sum] = end.inputs;
  const sub = operand(exp, "EXP", 0);
  if (!is(sub, "SUB") || operand(sum, "SUM", 0) !== exp) return null;
  const [ifm, max] = sub.inputs;
  if (!ifm || operand(max, "REDUCE_MAX", 0) !== ifm) return null;
  const last = [ifm.shape.length - 1].join();
  const isLast = (node: Node) => option(node, "keepDims") === true && axesOf(node, indexes)?.join() === last;
  if (!isLast(max!) || !isLast(sum!)) return null;
  return { high: [sub, exp!], low: [ifm, max!, sum!, end] };
}

function is(node: Node | null | undefined, op: string): node is Node {
  return node?.kind === "operator" && node.op === op;
}

function operand(node: Node | null | undefined, op: string, index: number): Node | null {
  return is(node, op) ? (node.inputs[index] ?? null) : null;
}

/** Tries both orders of the operands of an operator. */
function eitherWay<T>(
  node: Node,
  op: string,
  match: (a: Node | null | undefined, b: Node | null | undefined) => T | null,
): T | null {
  if (!is(node, op)) return null;
  const [a, b] = node.inputs;
  return match(a, b) ?? match(b, a);
}

/** The axes that an operator reduces: from 0, sorted, each once. */
function axesOf(node: Node, indexes: ReadIndexes): number[] | undefined {
  const [of, axes] = node.inputs;
  if (!of || !isConstant(axes)) return undefined;
  const rank = of.shape.length;
  const values = indexes(axes)?.map((axis) => (axis < 0 ? axis + rank : axis));
  return values && [...new Set(values)].sort((a, b) => a - b);
}
