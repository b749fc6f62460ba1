/**
 * Checks what the tables say about each other: indices, lengths, types. After this, everybody may index
 * tensors, buffers, operator codes and subgraphs without looking.
 */
import type { Fail } from "./fail.ts";
import { detailTensors, subgraphsOf } from "./references.ts";
import {
  type Model,
  nameOf,
  type Operator,
  type SignatureDef,
  type SubGraph,
  type Tensor,
  type TensorMap,
  TensorType,
} from "./schema.gen.ts";
import { checkSparsity } from "./sparsity.ts";
import { byteLength } from "./tensor-types.ts";

const TENSOR_TYPES: ReadonlySet<number> = new Set(Object.values(TensorType));

/** More than any runtime can do; keeps messages about damaged shapes short. */
const MOST_DIMENSIONS = 64;

/**
 * Bytes that all constants together may stand for: tensors may share a buffer, and sparse ones are made dense. A file of a few kilobytes
 * must not become gigabytes. Real models share weights between some signatures, and are sparse to some twentieth.
 */
const MOST_EXPANDED = 64 * 2 ** 20;
const MOST_TIMES = 100;

/** A name for messages, on one line and not too long: ` "conv1"`; nothing for no name. */
export function quoted(name: string | undefined): string {
  return name ? ` ${JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name)}` : "";
}

/** Throws by way of `fail` at the first thing in the model that points nowhere or contradicts itself. `size`: bytes of its file. */
export function checkModel(model: Model, size: number, fail: Fail): void {
  let expanded = 0;
  const buffers = model.buffers?.length ?? 0;
  const subgraphs = model.subgraphs ?? [];
  for (const [g, graph] of subgraphs.entries()) {
    const path = `subgraphs[${g}]`;
    for (const [t, tensor] of (graph.tensors ?? []).entries()) {
      const name = () => `${path}.tensors[${t}]${quoted(tensor.name)}`;
      expanded += checkTensor(model, tensor, fail, name);
      if (expanded > MOST_EXPANDED + MOST_TIMES * size)
        fail(
          name(),
          `and the constants before it stand for ${expanded} bytes, more than ${MOST_TIMES} times the file`,
          tensor,
        );
      for (const { field, index } of detailTensors(tensor))
        checkIndex(index, 0, graph.tensors!.length, "tensors", `${name()}.quantization.details.${field}`, tensor, fail);
    }
    const tensors = graph.tensors?.length ?? 0;
    checkIndices(graph.inputs, 0, tensors, "tensors", `${path}.inputs`, graph, fail);
    checkIndices(graph.outputs, 0, tensors, "tensors", `${path}.outputs`, graph, fail);
    for (const [o, operator] of (graph.operators ?? []).entries()) {
      checkOperator(model, graph, operator, `${path}.operators[${o}]`, fail);
    }
  }
  checkIndices(model.metadataBuffer, 0, buffers, "buffers", "metadataBuffer", model, fail);
  for (const [m, metadata] of (model.metadata ?? []).entries()) {
    checkIndex(metadata.buffer ?? 0, 0, Math.max(1, buffers), "buffers", `metadata[${m}].buffer`, metadata, fail);
  }
  for (const [s, signature] of (model.signatureDefs ?? []).entries()) {
    checkSignature(subgraphs, signature, `signatureDefs[${s}]`, fail);
  }
}

/** `path` is called when something is wrong: a model has thousands of tensors, and few that are. Gives the bytes of its values, made dense. */
function checkTensor(model: Model, tensor: Tensor, fail: Fail, path: () => string): number {
  const type = tensor.type ?? TensorType.FLOAT32;
  if (!TENSOR_TYPES.has(type)) fail(path(), `has the unknown type ${type}`, tensor);
  const { shape } = tensor;
  if (shape && shape.length > MOST_DIMENSIONS) fail(`${path()}.shape`, `has ${shape.length} dimensions`, tensor);
  const wrong = shape?.find((size) => size < -1);
  if (wrong !== undefined) fail(`${path()}.shape`, `has the dimension ${wrong}`, tensor);
  const buffers = model.buffers ?? [];
  const index = tensor.buffer ?? 0;
  // Buffer 0 is "no data", also in a model without any buffers.
  if (!inside(index, 0, Math.max(1, buffers.length)))
    fail(`${path()}.buffer`, `is ${index}, there are ${Math.max(1, buffers.length)} buffers`, tensor);
  const length = buffers[index]?.data?.length ?? 0;
  // A size that only a run knows: values that are there have none, and two of them would make a product that fits.
  if (length > 0 && shape?.some((size) => size < 0))
    fail(`${path()}.shape`, "has the dimension -1, and it has values", tensor);
  if (tensor.sparsity) {
    checkSparsity(tensor, length, path(), fail);
    return length > 0 ? (byteLength(type, shape ?? []) ?? 0) : 0;
  }
  if (length > 0 && shape && !tensor.compressionType) {
    const expected = byteLength(type, shape);
    if (expected !== undefined && expected !== length) {
      const what = `${nameOf(TensorType, type)} of shape [${shape.join(", ")}] needs ${expected} bytes, buffer ${index} has ${length}`;
      fail(path(), what, tensor);
    }
  }
  return length;
}

function checkOperator(model: Model, graph: SubGraph, operator: Operator, path: string, fail: Fail): void {
  const tensors = graph.tensors?.length ?? 0;
  const codes = model.operatorCodes?.length ?? 0;
  checkIndex(operator.opcodeIndex ?? 0, 0, codes, "operator codes", `${path}.opcodeIndex`, operator, fail);
  // -1 is an optional operand that is not there.
  checkIndices(operator.inputs, -1, tensors, "tensors", `${path}.inputs`, operator, fail);
  checkIndices(operator.outputs, 0, tensors, "tensors", `${path}.outputs`, operator, fail);
  checkIndices(operator.intermediates, -1, tensors, "tensors", `${path}.intermediates`, operator, fail);
  const subgraphs = model.subgraphs?.length ?? 0;
  for (const { field, indices } of subgraphsOf(operator))
    checkIndices(indices, -1, subgraphs, "subgraphs", `${path}.${field}`, operator, fail);
}

function checkSignature(subgraphs: SubGraph[], signature: SignatureDef, path: string, fail: Fail): void {
  const index = signature.subgraphIndex ?? 0;
  checkIndex(index, 0, subgraphs.length, "subgraphs", `${path}.subgraphIndex`, signature, fail);
  const tensors = subgraphs[index]?.tensors?.length ?? 0;
  const check = (maps: TensorMap[] | undefined, name: string) => {
    for (const [i, map] of (maps ?? []).entries()) {
      checkIndex(map.tensorIndex ?? 0, 0, tensors, "tensors", `${path}.${name}[${i}].tensorIndex`, map, fail);
    }
  };
  check(signature.inputs, "inputs");
  check(signature.outputs, "outputs");
}

function checkIndices(
  indices: ArrayLike<number> | undefined,
  least: number,
  count: number,
  kind: string,
  path: string,
  near: object,
  fail: Fail,
): void {
  for (let i = 0; i < (indices?.length ?? 0); i++) {
    if (!inside(indices![i]!, least, count)) checkIndex(indices![i]!, least, count, kind, `${path}[${i}]`, near, fail);
  }
}

function checkIndex(
  index: number,
  least: number,
  count: number,
  kind: string,
  path: string,
  near: object,
  fail: Fail,
): void {
  if (!inside(index, least, count)) fail(path, `is ${index}, there are ${count} ${kind}`, near);
}

function inside(index: number, least: number, count: number): boolean {
  return index >= least && index < count;
}
