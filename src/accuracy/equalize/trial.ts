/**
 * A trial: the float model with rounding put into it, so that what a choice does to the outputs can be seen without quantizing the model.
 * Weights are rounded; behind each float tensor stand QUANTIZE and DEQUANTIZE with the parameters of its range.
 *
 *     CONV_2D ─▶ a ─▶ RELU     →     CONV_2D (rounded weights) ─▶ a ─▶ QUANTIZE ─▶ DEQUANTIZE ─▶ RELU
 */
import { activeNodes, type Graph, isConstant, type Node } from "../../graph/graph.ts";
import {
  BuiltinOperator,
  type BuiltinOptions,
  type Model,
  type Operator,
  type OperatorCode,
  type SubGraph,
  type Tensor,
  TensorType,
} from "../../model/index.ts";
import { type Context, granularityOf, schemeOf, type Workspace } from "../../passes/context.ts";
import { weightLayout } from "../../passes/minmax/own-values.ts";
import { fakeQuantized } from "../../passes/transform/fake-quantize-weights.ts";
import { exportWorkspace } from "../../passes/workspace.ts";
import { operandsWith } from "../../rules/operators.ts";
import { parametersOfRange } from "../../rules/schemes.ts";
import type { Constant } from "../../weights/constant.ts";
import { withFloatRounding } from "../float-rounding.ts";

/** A range of a tensor. */
export interface TrialRange {
  readonly min: number;
  readonly max: number;
}

/** A model that rounds, and where its outputs' values are. */
export interface Trial {
  readonly model: Model;
  /** Tensor of each output of the subgraph. */
  readonly outputs: readonly { readonly node: Node; readonly tensor: number }[];
}

/**
 * The trial of one subgraph as its graph is now. The graph is as it was afterwards. `rangeOf`: undefined for tensors that are not rounded;
 * `floatWeights`: weights are not rounded either.
 */
export function trialOf(
  space: Workspace,
  subgraph: number,
  rangeOf: (node: Node) => TrialRange | undefined,
  floatWeights = false,
): Trial {
  const graph = space.graphs[subgraph]!;
  const { context } = space;
  const before = floatWeights ? new Map<Node, Constant>() : roundWeights(graph, context);
  const { model, nodes } = exportWorkspace(space);
  for (const [node, constant] of before) node.constant = constant;
  const own = nodes[subgraph]!;
  const parameters = new Map<number, { type: TensorType; scale: number; zeroPoint: number }>();
  for (const [tensor, node] of own.entries()) {
    const range = isRounded(node) ? rangeOf(node) : undefined;
    if (!range) continue;
    const quantizer = schemeOf(context, node).activation;
    const { scale, zeroPoint } = parametersOfRange(quantizer, range.min, range.max);
    parameters.set(tensor, { type: TensorType[quantizer.dtype], scale, zeroPoint });
  }
  const codes = [...(model.operatorCodes ?? [])];
  const { subgraph: rounded, moved } = withRounding(model.subgraphs![subgraph]!, codes, parameters);
  const subgraphs = model.subgraphs!.map((each, index) => (index === subgraph ? rounded : each));
  const outputs = Array.from(model.subgraphs![subgraph]!.outputs ?? [], (tensor) => ({
    node: own[tensor]!,
    tensor: moved.get(tensor) ?? tensor,
  }));
  return { model: withFloatRounding({ ...model, operatorCodes: codes, subgraphs }), outputs };
}

/** A float tensor that the scheme rounds. */
export function isRounded(node: Node): boolean {
  return node.dtype === "FLOAT32" && !node.float && ["input", "operator", "result"].includes(node.kind);
}

/** Rounds weights in place; gives what they were. */
function roundWeights(graph: Graph, context: Context): Map<Node, Constant> {
  const before = new Map<Node, Constant>();
  for (const node of activeNodes(graph)) {
    if (node.kind !== "operator" || node.float) continue;
    for (const index of operandsWith(node.row, node.inputs.length, "weights")) {
      const role = node.row.in[index]!;
      const weights = node.inputs[index];
      if (role.role !== "weights" || !isConstant(weights) || weights.dtype !== "FLOAT32" || before.has(weights))
        continue;
      const granularity = granularityOf(context, node);
      const quantizer = schemeOf(context, node).weights[granularity];
      const layout = weightLayout(node, weights, role, granularity);
      before.set(weights, weights.constant);
      weights.constant = fakeQuantized(context, weights, layout, quantizer).constant as typeof weights.constant;
    }
  }
  return before;
}

/** The subgraph with QUANTIZE and DEQUANTIZE behind tensors; `moved`: what stands for each of these. */
function withRounding(
  { tensors = [], operators = [], ...subgraph }: SubGraph,
  codes: OperatorCode[],
  parameters: ReadonlyMap<number, { type: TensorType; scale: number; zeroPoint: number }>,
): { subgraph: SubGraph; moved: Map<number, number> } {
  const all: Tensor[] = [...tensors];
  const next: Operator[] = [];
  const moved = new Map<number, number>();
  const code = (builtinCode: BuiltinOperator, version: number) => codes.push({ builtinCode, version }) - 1;
  const [quantize, dequantize] = [code(BuiltinOperator.QUANTIZE, 2), code(BuiltinOperator.DEQUANTIZE, 3)];
  const emit = (opcodeIndex: number, from: number, to: number, builtinOptions: BuiltinOptions) =>
    next.push({ opcodeIndex, inputs: Int32Array.of(from), outputs: Int32Array.of(to), builtinOptions });
  const round = (tensor: number) => {
    const known = parameters.get(tensor);
    if (!known || moved.has(tensor)) return;
    const { name, shape, shapeSignature } = tensors[tensor]!;
    const quantization = { scale: Float32Array.of(known.scale), zeroPoint: BigInt64Array.of(BigInt(known.zeroPoint)) };
    const integers =
      all.push({ name: `${name}_integers`, shape, shapeSignature, type: known.type, buffer: 0, quantization }) - 1;
    const floats =
      all.push({ name: `${name}_rounded`, shape, shapeSignature, type: TensorType.FLOAT32, buffer: 0 }) - 1;
    emit(quantize, tensor, integers, { type: "QuantizeOptions", value: {} });
    emit(dequantize, integers, floats, { type: "DequantizeOptions", value: {} });
    moved.set(tensor, floats);
  };
  const to = (index: number) => moved.get(index) ?? index;
  for (const input of subgraph.inputs ?? []) round(input);
  for (const operator of operators) {
    next.push({ ...operator, inputs: Int32Array.from(operator.inputs ?? [], to) });
    for (const result of operator.outputs ?? []) round(result);
  }
  return {
    subgraph: { ...subgraph, tensors: all, operators: next, outputs: Int32Array.from(subgraph.outputs ?? [], to) },
    moved,
  };
}
