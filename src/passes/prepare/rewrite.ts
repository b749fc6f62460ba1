/** Operators that rewriting steps put in the place of others. */
import { addNode, type Graph, type Node, replace } from "../../graph/graph.ts";
import { type QuantParam, quantParam } from "../../graph/quantparam.ts";
import { rangeOf } from "../../model/bytes.ts";
import { ActivationFunctionType } from "../../model/index.ts";
import { stored } from "../../weights/constant.ts";
import { addConstant, retire } from "./edit.ts";

export type FusedActivation = keyof typeof ActivationFunctionType;

/** What a new operator is: kind, operands and options. */
export type Made = Pick<Node, "op" | "options"> & { readonly inputs: readonly Node[] };

/** x · y, x + y and x − y, with a fused activation function. */
export const added = (x: Node, y: Node, activation: FusedActivation = "NONE"): Made => ({
  op: "ADD",
  options: { type: "AddOptions", value: { fusedActivationFunction: ActivationFunctionType[activation] } },
  inputs: [x, y],
});
export const multiplied = (x: Node, y: Node, activation: FusedActivation = "NONE"): Made => ({
  op: "MUL",
  options: { type: "MulOptions", value: { fusedActivationFunction: ActivationFunctionType[activation] } },
  inputs: [x, y],
});
export const subtracted = (x: Node, y: Node): Made => ({
  op: "SUB",
  options: { type: "SubOptions", value: { fusedActivationFunction: ActivationFunctionType.NONE } },
  inputs: [x, y],
});
export const floored = (x: Node): Made => ({
  op: "FLOOR",
  options: null,
  inputs: [x],
});
/** The mean over the axes of an INT32 constant; reduced dimensions stay, as 1. */
export const averaged = (x: Node, axes: Node): Made => ({
  op: "MEAN",
  options: { type: "ReducerOptions", value: { keepDims: true } },
  inputs: [x, axes],
});

/** A new tensor of `like`'s shape beside it. `range` is what is known of its values, where ranges are recorded already. */
export function addBeside(
  graph: Graph,
  like: Node,
  suffix: string,
  made: Made,
  range: readonly [number, number] | null,
): Node {
  const { name, dtype, shape } = like;
  return addNode(graph, {
    kind: "operator",
    name: `${name}_${suffix}`,
    dtype,
    shape,
    quant: asRange(range, like),
    ...made,
  });
}

function asRange(range: readonly [number, number] | null, { name }: Node): QuantParam | null {
  if (!range) return null;
  const [min, max] = range;
  return quantParam({ min: Float32Array.of(min), max: Float32Array.of(max), provenance: { from: "range", of: name } });
}

/** Puts an operator in the place of another one: the tensor is the same, with its name and range. */
export function putInPlaceOf(graph: Graph, old: Node, made: Made): Node {
  const { name, dtype, shape, tensor, quant, quantAsRead } = old;
  const node = addNode(graph, { kind: "operator", name, dtype, shape, tensor, quant, quantAsRead, ...made });
  replace(old, node);
  retire(old);
  return node;
}

/** A FLOAT32 constant of one value. */
export function addScalar(graph: Graph, name: string, value: number): Node {
  return addConstant(graph, name, "FLOAT32", [1], stored(rangeOf(bytesOf(Float32Array.of(value))), 1));
}

/** An INT32 vector. */
export function addVector(graph: Graph, name: string, values: readonly number[]): Node {
  const { length } = values;
  return addConstant(graph, name, "INT32", [length], stored(rangeOf(bytesOf(Int32Array.from(values))), length));
}

function bytesOf(values: Float32Array | Int32Array): Uint8Array {
  return new Uint8Array(values.buffer);
}
