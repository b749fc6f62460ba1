/**
 * The operand that says an operator's new shape, where a file has it in the options alone (RESHAPE): TFLite's runtime reads either, ONE's
 * importer adds the operand, and ONE's runtime loads no model without it.
 *
 *     RESHAPE (x; options: 1, 896)   →   RESHAPE (x, constant [1, 896])
 */
import { rangeOf, readRange } from "../model/bytes.ts";
import {
  type Buffer,
  type Model,
  type Operator,
  operatorName,
  type SubGraph,
  type Tensor,
  TensorType,
} from "../model/index.ts";
import { rowOf } from "../rules/operators.ts";

/**
 * The shape that the operand has to say: that of the options, or else of the result, of which one dimension may be unknown (below 0).
 * Null where neither tells it, or it is a scalar's, which would be a constant without data.
 */
export function shapeToSay(options: unknown, name: string, declared: readonly number[]): readonly number[] | null {
  const said = (options as Record<string, Int32Array | undefined> | null | undefined)?.[name];
  const shape = said?.length ? [...said] : declared;
  return shape.length > 0 && shape.filter((dim) => dim < 0).length <= 1 ? shape : null;
}

/** The model with these operands as constants behind its tensors and buffers; itself when none is missing. */
export function withShapeOperands(model: Model): Model {
  const buffers: Buffer[] = [...(model.buffers ?? [])];
  const before = buffers.length;
  const subgraphs = (model.subgraphs ?? []).map((subgraph) => completed(model, subgraph, buffers));
  return buffers.length === before ? model : { ...model, subgraphs, buffers };
}

function completed(model: Model, subgraph: SubGraph, buffers: Buffer[]): SubGraph {
  const tensors: Tensor[] = [...(subgraph.tensors ?? [])];
  const operators = (subgraph.operators ?? []).map((operator) => {
    const shape = missingShape(model, subgraph, operator);
    if (!shape) return operator;
    const buffer = buffers.push({ data: rangeOf(new Uint8Array(Int32Array.from(shape).buffer)) }) - 1;
    const result = tensors[operator.outputs![0]!]!;
    const name = nameFor(result);
    const tensor = tensors.push({ name, shape: Int32Array.of(shape.length), type: TensorType.INT32, buffer }) - 1;
    return { ...operator, inputs: Int32Array.of(...operator.inputs!, tensor) };
  });
  return tensors.length === (subgraph.tensors?.length ?? 0) ? subgraph : { ...subgraph, tensors, operators };
}

const nameFor = ({ name = "" }: Tensor) => `${name}_shape`;

/**
 * The model without the operands that `withShapeOperands` put behind its tensors, so that a model that was written as Circle and is
 * written as TFLite again is what it was. The options say the same.
 */
export function withoutShapeOperands(model: Model): Model {
  const freed = new Set<number>();
  const subgraphs = (model.subgraphs ?? []).map((subgraph) => {
    const tensors = [...(subgraph.tensors ?? [])];
    const operators = [...(subgraph.operators ?? [])];
    for (let last = tensors.length - 1; last >= 0; last--) {
      const users = operators.filter(({ inputs }) => inputs?.includes(last));
      const at = operators.indexOf(users[0]!);
      if (users.length !== 1 || !saysTheSame(model, tensors, users[0]!, last)) break;
      operators[at] = { ...users[0]!, inputs: users[0]!.inputs!.slice(0, -1) };
      freed.add(tensors.pop()!.buffer!);
    }
    return tensors.length === subgraph.tensors?.length ? subgraph : { ...subgraph, tensors, operators };
  });
  if (freed.size === 0) return model;
  const buffers = [...(model.buffers ?? [])];
  while (freed.delete(buffers.length - 1)) buffers.pop();
  return { ...model, subgraphs, buffers };
}

/** Whether tensor `at` is an operand by the name and with the values that `withShapeOperands` would give it. */
function saysTheSame(model: Model, tensors: readonly Tensor[], operator: Operator, at: number): boolean {
  const { shapeOperand } = rowOf(operatorName(model, operator));
  const tensor = tensors[at]!;
  if (!shapeOperand || operator.inputs!.length !== shapeOperand.operand + 1 || operator.inputs!.at(-1) !== at)
    return false;
  if (tensor.name !== nameFor(tensors[operator.outputs![0]!]!)) return false;
  const said = (operator.builtinOptions?.value as Record<string, Int32Array> | null | undefined)?.[shapeOperand.option];
  const content = model.buffers?.[tensor.buffer ?? 0]?.data;
  if (!said?.length || !content || "deferred" in content || content.length !== said.byteLength) return false;
  const values = new Int32Array(readRange(content).slice().buffer);
  return said.every((dim, i) => dim === values[i]);
}

function missingShape(model: Model, subgraph: SubGraph, operator: Operator): readonly number[] | null {
  const { shapeOperand } = rowOf(operatorName(model, operator));
  if (!shapeOperand || operator.inputs?.length !== shapeOperand.operand) return null;
  const { shape, shapeSignature } = subgraph.tensors![operator.outputs![0]!]!;
  const declared = shapeSignature?.length === shape?.length ? shapeSignature : shape;
  return shapeToSay(operator.builtinOptions?.value, shapeOperand.option, [...(declared ?? [])]);
}
