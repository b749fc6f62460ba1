/** Tables of a subgraph → graph. */
import { MinmaxqError } from "../base/errors.ts";
import {
  BuiltinOperator,
  elementCount,
  type Model,
  nameOf,
  type QuantizationParameters,
  type Tensor,
  TensorType,
} from "../model/index.ts";
import { type RuleSet, rowOf } from "../rules/operators.ts";
import { stored } from "../weights/constant.ts";
import { addNode, type Dtype, type Graph, type Node } from "./graph.ts";
import { type QuantParam, quantParam } from "./quantparam.ts";

/**
 * Makes the graph of one subgraph, whose operators follow `rules`. Nodes are created in the reference's order (§10.13): inputs, constants by tensor
 * index, variables, operators in file order each followed by its results, outputs.
 *
 * Throws a MinmaxqError when operators form a cycle or two of them yield one tensor.
 */
export function importGraph(model: Model, index: number, rules: RuleSet = "ours"): Graph {
  const subgraph = model.subgraphs![index]!;
  const tensors = subgraph.tensors ?? [];
  const operators = subgraph.operators ?? [];
  const inputs = [...(subgraph.inputs ?? [])];
  const outputs = [...(subgraph.outputs ?? [])];
  const graph: Graph = {
    name: subgraph.name ?? "",
    rules,
    nodes: [],
    inputs: [],
    outputs: [],
    inputDtypes: inputs.map((tensor) => dtypeOf(tensors[tensor]!)),
    outputDtypes: outputs.map((tensor) => dtypeOf(tensors[tensor]!)),
  };
  const nodeOf: (Node | undefined)[] = new Array(tensors.length);
  const add = (kind: Node["kind"], tensor: number, more: Partial<Node> = {}) => {
    const node = addNode(graph, { ...tensorFields(tensors[tensor]!), kind, ...more } as never);
    nodeOf[tensor] = node;
    return node;
  };

  for (const tensor of inputs) graph.inputs.push(nodeOf[tensor] ?? add("input", tensor));

  const producer = new Map<number, number>();
  operators.forEach((operator, position) => {
    for (const result of operator.outputs ?? []) {
      if (result < 0) continue;
      if (producer.has(result))
        throw new MinmaxqError(
          `tensor "${tensors[result]?.name ?? ""}": is the result of operators ${producer.get(result)} and ${position}; the model is damaged`,
        );
      producer.set(result, position);
    }
  });

  tensors.forEach((tensor, i) => {
    if (nodeOf[i] || producer.has(i)) return;
    const content = model.buffers?.[tensor.buffer ?? 0]?.data;
    const shape = [...(tensor.shape ?? [])];
    // NaN where a size is unknown: nothing is there, and how much it would be cannot be told.
    const count = elementCount(shape);
    if (tensor.isVariable || (!content?.length && count !== 0)) return;
    if (content && "deferred" in content) throw new Error("a model that is being written cannot be imported");
    const bytes = content ?? { source: NOTHING, offset: 0, length: 0 };
    add("constant", i, { constant: stored(bytes, count) });
  });
  // What no operator yields and has no data: variables, and outputs that nothing computes (§10.6).
  tensors.forEach((_, i) => {
    if (!nodeOf[i] && !producer.has(i)) add("variable", i);
  });

  addOperators(model, index, graph, nodeOf, add);

  for (const tensor of outputs) {
    const from = nodeOf[tensor]!;
    graph.outputs.push(
      addNode(graph, {
        kind: "output",
        name: from.name,
        dtype: from.dtype,
        shape: from.shape,
        quant: from.quant,
        inputs: [from],
      }),
    );
  }
  return graph;
}

const NOTHING = { size: 0, name: "memory", readInto: () => {}, close: () => {} };

/** Operators in file order; operands that a later operator yields are linked once that one is there. */
function addOperators(
  model: Model,
  index: number,
  graph: Graph,
  nodeOf: (Node | undefined)[],
  add: (kind: Node["kind"], tensor: number, more?: Partial<Node>) => Node,
): void {
  const subgraph = model.subgraphs![index]!;
  const tensors = subgraph.tensors ?? [];
  const late: { node: Node; slot: number; tensor: number }[] = [];
  for (const operator of subgraph.operators ?? []) {
    const code = model.operatorCodes![operator.opcodeIndex ?? 0]!;
    const op = nameOf(BuiltinOperator, code.builtinCode ?? 0);
    const results = [...(operator.outputs ?? [])];
    const operands = [...(operator.inputs ?? [])];
    const shared = {
      op,
      operator,
      options: operator.builtinOptions ?? null,
      version: code.version ?? 1,
      customCode: code.customCode ?? "",
    };
    const inputs = operands.map((tensor) => (tensor < 0 ? null : (nodeOf[tensor] ?? null)));
    const single = results.length === 1 && !rowOf(op).multiple;
    let node: Node;
    if (single) {
      node = add("operator", results[0]!, { ...shared, inputs });
    } else {
      const first = results.find((tensor) => tensor >= 0);
      const named = first === undefined ? undefined : tensors[first];
      node = addNode(graph, {
        ...shared,
        kind: "operator",
        name: named?.name ?? "",
        dtype: named ? dtypeOf(named) : "FLOAT32",
        shape: [...(named?.shape ?? [])],
        inputs,
      });
      results.forEach((tensor, resultIndex) => {
        if (tensor >= 0) add("result", tensor, { op, resultIndex, inputs: [node] });
      });
    }
    operands.forEach((tensor, slot) => {
      if (tensor >= 0 && !inputs[slot]) late.push({ node, slot, tensor });
    });
  }
  for (const { node, slot, tensor } of late) {
    const operand = nodeOf[tensor]!;
    node.inputs[slot] = operand;
    operand.users.add(node);
  }
  if (late.length > 0) refuseCycles(graph);
}

function refuseCycles(graph: Graph): void {
  const state = new Map<Node, "open" | "done">();
  for (const root of graph.nodes) {
    const stack = [{ node: root, next: 0 }];
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!;
      if (top.next === 0) {
        if (state.get(top.node) === "done") {
          stack.pop();
          continue;
        }
        state.set(top.node, "open");
      }
      const operand = top.node.inputs[top.next++];
      if (top.next > top.node.inputs.length) {
        state.set(top.node, "done");
        stack.pop();
      } else if (operand) {
        if (state.get(operand) === "open")
          throw new MinmaxqError(`tensor "${operand.name}": depends on itself; the model is damaged`);
        if (!state.has(operand)) stack.push({ node: operand, next: 0 });
      }
    }
  }
}

function dtypeOf(tensor: Tensor): Dtype {
  return nameOf(TensorType, tensor.type ?? 0) as Dtype;
}

/** What a tensor's table says of its node. */
function tensorFields(tensor: Tensor): Pick<Node, "name" | "dtype" | "shape" | "quant" | "quantAsRead" | "tensor"> {
  const quant = quantOf(tensor.quantization);
  return {
    name: tensor.name ?? "",
    dtype: dtypeOf(tensor),
    shape: [...(tensor.shape ?? [])],
    quant,
    quantAsRead: quant,
    tensor,
  };
}

/** Only a (min, max) pair or a (scale, zero point) pair makes a quantparam (§1.1). */
function quantOf(table: QuantizationParameters | undefined): QuantParam | null {
  if (!table) return null;
  const { min, max, scale, zeroPoint } = table;
  const range = (min?.length ?? 0) > 0 && (max?.length ?? 0) > 0;
  const affine = (scale?.length ?? 0) > 0 && (zeroPoint?.length ?? 0) > 0;
  if (!range && !affine) return null;
  return quantParam({
    ...(min ? { min } : {}),
    ...(max ? { max } : {}),
    ...(scale ? { scale } : {}),
    ...(zeroPoint ? { zeroPoint } : {}),
    axis: table.quantizedDimension ?? 0,
    provenance: { from: "file" },
  });
}
