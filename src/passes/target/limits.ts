/** Numbers of an operator that a target has limits for (`limits` of its row): strides, kernels, dimensions, sums of weights. */
import { isConstant, type Node } from "../../graph/graph.ts";
import { option } from "../../graph/options.ts";
import { Padding } from "../../model/index.ts";
import { operandsWith } from "../../rules/operators.ts";
import type { Limit, Quantity } from "../../rules/targets.ts";
import { activationsOf, type Case, weightsOf } from "./case.ts";

export interface Broken {
  /** "a stride height of up to 3". */
  readonly takes: string;
  /** "a stride height of 4". */
  readonly has: string;
}

/** The first limit that an operator is beyond; null where it is within all. */
export function brokenLimit(one: Case): Broken | null {
  for (const limit of one.row.limits ?? []) {
    if (limit.padding && paddingOf(one.node) !== limit.padding) continue;
    if (limit.dtypes && !limit.dtypes.includes(activationsOf(one.node)[0]?.dtype ?? "BOOL")) continue;
    const odd = QUANTITIES[limit.of](one).find((value) => !within(limit, value));
    if (odd === undefined) continue;
    const where = limit.padding ? ` where it pads ${limit.padding}` : "";
    return { takes: `${limit.of} ${boundsText(limit)}${where}`, has: `${limit.of} ${odd}` };
  }
  return null;
}

function within({ least = Number.NEGATIVE_INFINITY, most = Number.POSITIVE_INFINITY, only }: Limit, value: number) {
  return only ? only.includes(value) : value >= least && value <= most;
}

function boundsText({ least, most, only }: Limit): string {
  if (only) return only.join(", ");
  if (least !== undefined && most !== undefined) return `${least} to ${most}`;
  return most !== undefined ? `up to ${most}` : `from ${least}`;
}

/** Padding of the two spatial dimensions, where an operator has that option. */
function paddingOf(node: Node): "SAME" | "VALID" {
  return option(node, "padding") === Padding.VALID ? "VALID" : "SAME";
}

/** An option that counts something; absent means the schema's default. */
function count(node: Node, name: string, standard: number): number {
  return Number(option(node, name) ?? standard);
}

/** Height and width of a pool's window, or of a filter [_, height, width, _]. */
function kernelOf(node: Node): [number, number] {
  const filter = weightsOf(node)?.shape;
  if (filter?.length === 4) return [filter[1]!, filter[2]!];
  return [count(node, "filterHeight", 1), count(node, "filterWidth", 1)];
}

const product = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);
const above1 = (dims: readonly number[]) => dims.filter((dim) => dim > 1).length;

/** Integers of a constant that the file has as they are; none where it is still to be made. */
function integersOf({ scanner }: Case, constant: Node | null | undefined): number[] {
  if (!isConstant(constant) || constant.constant.kind !== "stored" || constant.constant.length === 0) return [];
  const { buffer } = scanner.bytes(constant.constant);
  switch (constant.dtype) {
    case "INT8":
      return [...new Int8Array(buffer)];
    case "INT32":
      return [...new Int32Array(buffer)];
    case "INT64":
      return [...new BigInt64Array(buffer)].map(Number);
    default:
      return [];
  }
}

/** So many elements of 8 bits cannot reach a limit that is 127 times as large. */
const FEW_ELEMENTS = 65_536;

function filterSums(one: Case): number[] {
  const filter = weightsOf(one.node);
  if (!filter || product(filter.shape) <= FEW_ELEMENTS) return [];
  const elements = product(filter.shape.slice(1));
  if (elements <= FEW_ELEMENTS) return [];
  const values = integersOf(one, filter);
  const sums: number[] = [];
  for (let from = 0; from < values.length; from += elements)
    sums.push(values.slice(from, from + elements).reduce((sum, value) => sum + Math.abs(value), 0));
  return sums;
}

function biasOf(node: Node): Node | undefined {
  const [index] = operandsWith(node.row, node.inputs.length, "bias");
  return (index === undefined ? null : node.inputs[index]) ?? undefined;
}

/** How often the result of a resize is as large as its operand: one number a dimension. */
function enlargement(node: Node, result: Node | undefined): number[] {
  const [from, to] = [node.inputs[0]?.shape.slice(1, 3) ?? [], result?.shape.slice(1, 3) ?? []];
  // From one pixel any size is a copy of it.
  if (from.every((dim) => dim === 1)) return [];
  const align = option(node, "alignCorners") === true ? 1 : 0;
  return from.flatMap((dim, i) => (dim === 1 ? [] : [(to[i]! - align) / (dim - align)]));
}

const QUANTITIES: Readonly<Record<Quantity, (one: Case) => readonly number[]>> = {
  batch: ({ node }) => activationsOf(node).flatMap(({ shape }) => (shape.length === 4 ? [shape[0]!] : [])),
  "dimensions above 1 beside the last three": ({ node, results }) =>
    [...activationsOf(node), ...results].map(({ shape }) => above1(shape.slice(0, -3))),
  "dimensions above 1 of the result": ({ results }) => results.map(({ shape }) => above1(shape)),
  "rank of the result": ({ results }) => results.map(({ shape }) => shape.length),
  "last dimension": ({ node }) => activationsOf(node).flatMap(({ shape }) => shape.at(-1) ?? []),
  "stride height": ({ node }) => [count(node, "strideH", 1)],
  "stride width": ({ node }) => [count(node, "strideW", 1)],
  "slice strides": (one) => integersOf(one, one.node.inputs[3]),
  "kernel height": ({ node }) => [kernelOf(node)[0]],
  "kernel width": ({ node }) => [kernelOf(node)[1]],
  "kernel elements": ({ node }) => [product(kernelOf(node))],
  "elements that are reduced": ({ node, results: [result] }) => {
    const [from] = activationsOf(node);
    return from && result ? [product(from.shape) / Math.max(1, product(result.shape))] : [];
  },
  enlargement: ({ node, results: [result] }) => enlargement(node, result),
  "sum of a filter's weights": filterSums,
  "rank of the bias": ({ node }) => [biasOf(node)?.shape.length ?? 1],
  "bits of a bias": (one) =>
    integersOf(one, biasOf(one.node)).map((value) => (value === 0 ? 0 : Math.floor(Math.log2(Math.abs(value))) + 1)),
};
