/**
 * The operand that says an operator's new shape, where a file has it in the options alone (RESHAPE): TFLite's runtime reads either, ONE's
 * importer adds the operand, and ONE's runtime loads no model without it.
 *
 *     RESHAPE (x; options: 1, 896)   →   RESHAPE (x, constant [1, 896])
 */
import { rangeOf } from "../model/bytes.ts";
import {
  type Buffer,
  BuiltinOperator,
  type Model,
  nameOf,
  type Operator,
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
    const name = `${result.name ?? ""}_shape`;
    const tensor = tensors.push({ name, shape: Int32Array.of(shape.length), type: TensorType.INT32, buffer }) - 1;
    return { ...operator, inputs: Int32Array.of(...operator.inputs!, tensor) };
  });
  return tensors.length === (subgraph.tensors?.length ?? 0) ? subgraph : { ...subgraph, tensors, operators };
}

function missingShape(model: Model, subgraph: SubGraph, operator: Operator): readonly number[] | null {
  const code = model.operatorCodes?.[operator.opcodeIndex ?? 0];
  const { shapeOperand } = rowOf(nameOf(BuiltinOperator, code?.builtinCode ?? 0) ?? "");
  if (!shapeOperand || operator.inputs?.length !== shapeOperand.operand) return null;
  const { shape, shapeSignature } = subgraph.tensors![operator.outputs![0]!]!;
  const declared = shapeSignature?.length === shape?.length ? shapeSignature : shape;
  return shapeToSay(operator.builtinOptions?.value, shapeOperand.option, [...(declared ?? [])]);
}
