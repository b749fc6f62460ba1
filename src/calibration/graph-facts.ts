/** Small questions about a model's tables. */
import { MinmaxqError } from "../base/errors.ts";
import { BuiltinOperator, type Model, type Operator, type SubGraph, type Tensor, TensorType } from "../model/index.ts";

export function isFloat32(tensor: Tensor): boolean {
  return (tensor.type ?? TensorType.FLOAT32) === TensorType.FLOAT32;
}

/** The shape a tensor is run with: unknown dims are 1. */
export function knownShape(tensor: Tensor): number[] {
  return Array.from(tensor.shape ?? [], (dim) => (dim < 0 ? 1 : dim));
}

/** What messages call a tensor. */
export function nameOfTensor(tensor: Tensor, index: number): string {
  return tensor.name || `tensor ${index}`;
}

export function codeOf(model: Model, operator: Operator): BuiltinOperator {
  return model.operatorCodes?.[operator.opcodeIndex ?? 0]?.builtinCode ?? BuiltinOperator.ADD;
}

/** Tensors with data that nothing writes: not variable, no graph input, no operator's result (reference §10.6). */
export function constantsOf(model: Model, graph: SubGraph): Set<number> {
  const written = new Set([
    ...(graph.inputs ?? []),
    ...(graph.operators ?? []).flatMap((operator) => Array.from(operator.outputs ?? [])),
  ]);
  const constants = new Set<number>();
  (graph.tensors ?? []).forEach((tensor, index) => {
    if (!written.has(index) && !tensor.isVariable && hasData(model, tensor)) constants.add(index);
  });
  return constants;
}

function hasData(model: Model, tensor: Tensor): boolean {
  const buffer = model.buffers?.[tensor.buffer ?? 0];
  return (
    (buffer?.data?.length ?? 0) > 0 ||
    (buffer?.offset ?? 0n) > 1n ||
    (tensor.externalBuffer ?? 0) > 0 ||
    knownShape(tensor).includes(0)
  );
}

export function subgraphOf(model: Model, index: number): SubGraph {
  const graph = model.subgraphs?.[index];
  if (graph === undefined) {
    throw new MinmaxqError(`the model has no subgraph ${index}; it has ${model.subgraphs?.length ?? 0}`);
  }
  return graph;
}

export function tensorOf(graph: SubGraph, index: number): Tensor {
  const tensor = graph.tensors?.[index];
  if (tensor === undefined) throw new MinmaxqError(`the model is damaged: tensor ${index} is used but does not exist`);
  return tensor;
}
