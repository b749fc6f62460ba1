/**
 * Graphs → tables. What no pass touched keeps its table as it was read; what the outputs do not reach is not written.
 */
import { MinmaxqError } from "../base/errors.ts";
import {
  type Buffer,
  BuiltinOperator,
  type Content,
  type Model,
  type Operator,
  type OperatorCode,
  type QuantizationParameters,
  type SubGraph,
  type Tensor,
  TensorType,
} from "../model/index.ts";
import { detailTensors, withDetailTensors } from "../model/references.ts";
import type { Constant } from "../weights/constant.ts";
import { PendingContents } from "../weights/pending.ts";
import { activeNodes, type Graph, type Node, resultsOf } from "./graph.ts";
import type { Blocks, QuantParam } from "./quantparam.ts";

export interface Exported {
  readonly model: Model;
  /** The node of each tensor, by subgraph and tensor index; undefined for subgraphs that stayed as they are. */
  readonly nodes: readonly (readonly Node[] | undefined)[];
  /** The node of each operator, likewise. */
  readonly operators: readonly (readonly Node[] | undefined)[];
}

/**
 * The model with its subgraphs replaced by the graphs' contents (`graphs[i]` undefined: subgraph i stays as it is).
 * Buffers that nothing refers to any more are dropped. `model` itself is not changed. `contents`: what constants of the file are
 * already, where its contents got places before it is exported.
 */
export function exportModel(
  model: Model,
  graphs: readonly (Graph | undefined)[],
  contents = new PendingContents(),
): Exported {
  const target: Target = {
    contents,
    placed: new Map(),
    model,
    codes: [...(model.operatorCodes ?? [])],
    buffers: [...(model.buffers ?? [])],
    raised: false,
  };
  const renumbered: (Map<Tensor, number> | undefined)[] = [];
  const outputs: (Map<number, number> | undefined)[] = [];
  const nodes: (readonly Node[] | undefined)[] = [];
  const operators: (readonly Node[] | undefined)[] = [];
  const subgraphs = (model.subgraphs ?? []).map((subgraph, index) => {
    const graph = graphs[index];
    if (!graph) return subgraph;
    const written = exportGraph(target, subgraph, graph);
    renumbered[index] = written.indexOfTable;
    outputs[index] = written.replacedOutputs;
    nodes[index] = written.nodes;
    operators[index] = written.operators;
    return written.subgraph;
  });
  const signatureDefs = model.signatureDefs?.map((signature) => {
    const index = signature.subgraphIndex ?? 0;
    const tables = model.subgraphs?.[index]?.tensors ?? [];
    const moved = renumbered[index];
    if (!moved) return signature;
    const move = (tensorIndex: number | undefined) => moved.get(tables[tensorIndex ?? 0]!) ?? 0;
    return {
      ...signature,
      inputs: signature.inputs?.map((map) => ({ ...map, tensorIndex: move(map.tensorIndex) })),
      outputs: signature.outputs?.map((map) => ({
        ...map,
        tensorIndex: outputs[index]?.get(map.tensorIndex ?? 0) ?? move(map.tensorIndex),
      })),
    };
  });
  const next: Model = { ...model, operatorCodes: target.codes, subgraphs, buffers: target.buffers };
  if (signatureDefs) next.signatureDefs = signatureDefs;
  return { model: withoutUnusedBuffers(target.raised ? withoutUnusedCodes(next) : next), nodes, operators };
}

interface Target {
  readonly contents: PendingContents;
  /** Constants that are the same description share a buffer. */
  readonly placed: Map<Constant, number>;
  readonly model: Model;
  readonly codes: OperatorCode[];
  readonly buffers: Buffer[];
  /** Some operator has another version than it was read with. */
  raised: boolean;
}

function exportGraph(target: Target, subgraph: SubGraph, graph: Graph) {
  const operators = operatorsInOrder(graph);
  const tensors: Tensor[] = [];
  const indexOf = new Map<Node, number>();
  const indexOfTable = new Map<Tensor, number>();
  const names = new Set<string>();
  const nodes = tensorNodes(graph, subgraph, operators);
  // Nodes as read keep their names; clones and new operators make way.
  const firstOf = firstByTable(nodes);
  const isFirst = (node: Node) => node.tensor !== null && firstOf.get(node.tensor) === node;
  for (const node of nodes) if (isFirst(node)) names.add(node.name);
  for (const node of nodes) {
    indexOf.set(node, tensors.length);
    const first = isFirst(node);
    if (first && node.tensor) indexOfTable.set(node.tensor, tensors.length);
    const name = first ? node.name : uniqueName(node.name, names);
    tensors.push(tensorOf(target, node, name));
  }
  const moved = (old: number) => indexOfTable.get(subgraph.tensors![old]!) ?? -1;
  for (const tensor of tensors)
    if (tensor.quantization) tensor.quantization = withDetailTensors(tensor.quantization, moved);
  for (const [node, index] of indexOf) {
    const { blocks } = node.quant ?? {};
    if (blocks) tensors[index]!.quantization!.details = blockDetails(blocks, indexOf.get(blocks.scales as Node)!);
  }
  const at = (node: Node | null) => (node ? indexOf.get(node)! : -1);
  // A result without users has a node of its own all the same, so only results the file did not have are −1.
  const written = operators.map((node): Operator => {
    const table: Operator = { ...node.operator };
    const results = resultsOf(node);
    table.opcodeIndex = codeIndex(target, node);
    table.inputs = Int32Array.from(node.inputs, at);
    table.outputs = isSingle(node)
      ? Int32Array.of(at(node))
      : Int32Array.from(node.operator?.outputs ?? [], (_, i) => at(results.find((r) => r.resultIndex === i) ?? null));
    if (node.options) table.builtinOptions = node.options;
    if (table.intermediates) table.intermediates = table.intermediates.map(moved);
    return table;
  });
  const inputs = Int32Array.from(graph.inputs, at);
  const outputs = Int32Array.from(graph.outputs, (output) => at(output.inputs[0]!));
  const replacedOutputs = new Map<number, number>();
  for (const [i, old] of (subgraph.outputs ?? new Int32Array()).entries()) replacedOutputs.set(old, outputs[i]!);
  return {
    subgraph: { ...subgraph, tensors, operators: written, inputs, outputs },
    nodes,
    operators,
    indexOfTable,
    replacedOutputs,
  };
}

/** The operator *is* its result's tensor (§1.4). */
function isSingle(node: Node): boolean {
  return node.tensor !== null || node.operator === null;
}

/**
 * Operators to write, each after those it depends on, in file order where that allows it. Written are those that the
 * outputs reach and those that yield nothing (they act on variables).
 */
function operatorsInOrder(graph: Graph): Node[] {
  const roots = new Set(activeNodes(graph).filter((node) => node.kind === "operator"));
  const order: Node[] = [];
  const seen = new Set<Node>();
  const visit = (root: Node) => {
    const stack = [{ node: root, next: 0 }];
    seen.add(root);
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!;
      const operand = top.node.inputs[top.next++];
      if (top.next > top.node.inputs.length) {
        if (top.node.kind === "operator") order.push(top.node);
        stack.pop();
      } else if (operand && !seen.has(operand)) {
        seen.add(operand);
        stack.push({ node: operand, next: 0 });
      }
    }
  };
  for (const node of graph.nodes) if (roots.has(node) && !seen.has(node)) visit(node);
  return order;
}

/**
 * Nodes that need a tensor: inputs, operands, intermediates and results of written operators, outputs, and what quantization details
 * of these name; in creation order.
 */
function tensorNodes(graph: Graph, subgraph: SubGraph, operators: readonly Node[]): Node[] {
  const needed = new Set<Node>(graph.inputs);
  const named = new Set<Tensor>();
  for (const node of operators) {
    for (const index of node.operator?.intermediates ?? []) named.add(subgraph.tensors![index]!);
    for (const operand of node.inputs) if (operand) needed.add(operand);
    if (isSingle(node)) needed.add(node);
    else for (const result of resultsOf(node)) needed.add(result);
  }
  for (const output of graph.outputs) needed.add(output.inputs[0]!);
  for (const node of [...needed]) if (node.quant?.blocks) needed.add(node.quant.blocks.scales as Node);
  for (const node of needed)
    if (node.tensor && node.quant === node.quantAsRead)
      for (const { index } of detailTensors(node.tensor)) named.add(subgraph.tensors![index]!);
  return graph.nodes.filter((node) => needed.has(node) || (node.tensor !== null && named.has(node.tensor)));
}

/** The first node that carries each tensor's table; later ones are clones. */
function firstByTable(nodes: readonly Node[]): ReadonlyMap<Tensor, Node> {
  const first = new Map<Tensor, Node>();
  for (const node of nodes) if (node.tensor && !first.has(node.tensor)) first.set(node.tensor, node);
  return first;
}

function uniqueName(name: string, names: Set<string>): string {
  let unique = name;
  for (let i = 1; names.has(unique); i++) unique = `${name}_${i}`;
  names.add(unique);
  return unique;
}

function tensorOf(target: Target, node: Node, name: string): Tensor {
  const table: Tensor = node.tensor ? { ...node.tensor } : { shape: Int32Array.from(node.shape), buffer: 0 };
  table.name = name;
  table.type = TensorType[node.dtype];
  if (node.quant !== node.quantAsRead) {
    if (node.quant) table.quantization = quantizationOf(node.quant);
    else delete table.quantization;
  } else if (!node.tensor && node.quant) {
    table.quantization = quantizationOf(node.quant);
  }
  if (node.kind === "constant") {
    const constant = node.constant!;
    const asRead = node.tensor && target.model.buffers?.[node.tensor.buffer ?? 0]?.data;
    const untouched = constant.kind === "stored" && (asRead === constant.content || (!asRead && constant.length === 0));
    if (!untouched) {
      const known = target.placed.get(constant);
      table.buffer = known ?? target.buffers.push({ data: contentOf(target, constant, node.name) }) - 1;
      target.placed.set(constant, table.buffer);
      if (isLaidOutDensely(constant)) delete table.sparsity;
    }
  }
  return table;
}

function isLaidOutDensely(constant: Constant): boolean {
  return constant.kind === "dense" || (constant.kind !== "stored" && isLaidOutDensely(constant.of));
}

function contentOf({ contents }: Target, constant: Constant, name: string): Content {
  return constant.kind === "stored" ? constant.content : contents.of(constant, name);
}

function quantizationOf(quant: QuantParam): QuantizationParameters {
  const table: QuantizationParameters = { quantizedDimension: quant.axis };
  if (quant.min.length > 0 && quant.max.length > 0) {
    table.min = quant.min;
    table.max = quant.max;
  }
  if (quant.scale.length > 0 && quant.zeroPoint.length > 0) {
    table.scale = quant.scale;
    table.zeroPoint = quant.zeroPoint;
  }
  return table;
}

/** What a table says of scales in a tensor. Symmetric: without zero points. */
function blockDetails({ size }: Blocks, scales: number): QuantizationParameters["details"] {
  return { type: "BlockwiseQuantization", value: { scales, zeroPoints: -1, blockSize: size } };
}

/** The operator's code as read, while it has that version; else one of its kind, name and version, made where there is none. */
function codeIndex(target: Target, node: Node): number {
  const asRead = node.operator && target.codes[node.operator.opcodeIndex ?? 0];
  if (asRead && (asRead.version ?? 1) === node.version) return node.operator!.opcodeIndex ?? 0;
  const builtinCode = asRead?.builtinCode ?? BuiltinOperator[node.op as keyof typeof BuiltinOperator];
  if (builtinCode === undefined) throw new MinmaxqError(`${node.op} is no operator of the schema`);
  if (asRead) target.raised = true;
  const { version } = node;
  const found = target.codes.findIndex(
    (code) =>
      (code.builtinCode ?? 0) === builtinCode &&
      (code.version ?? 1) === version &&
      (!asRead || (code.customCode ?? "") === node.customCode),
  );
  if (found >= 0) return found;
  return target.codes.push({ ...asRead, builtinCode, version }) - 1;
}

/** Runtimes look up all codes of a file, so none stays that every operator left for a later version. */
function withoutUnusedCodes(model: Model): Model {
  const codes = model.operatorCodes ?? [];
  const used = new Set(
    (model.subgraphs ?? []).flatMap(({ operators = [] }) => operators.map(({ opcodeIndex }) => opcodeIndex ?? 0)),
  );
  const moved = new Map([...codes.keys()].filter((index) => used.has(index)).map((index, to) => [index, to]));
  return {
    ...model,
    operatorCodes: codes.filter((_, index) => used.has(index)),
    subgraphs: model.subgraphs?.map((subgraph) => ({
      ...subgraph,
      operators: subgraph.operators?.map((operator) => ({
        ...operator,
        opcodeIndex: moved.get(operator.opcodeIndex ?? 0)!,
      })),
    })),
  };
}

/** Buffer 0 is the empty sentinel and stays; metadata keeps its buffers. */
function withoutUnusedBuffers(model: Model): Model {
  const old = model.buffers ?? [];
  const used = new Set<number>([0]);
  for (const subgraph of model.subgraphs ?? [])
    for (const tensor of subgraph.tensors ?? []) used.add(tensor.buffer ?? 0);
  for (const entry of model.metadata ?? []) used.add(entry.buffer ?? 0);
  for (const index of model.metadataBuffer ?? []) used.add(index);
  if (used.size === old.length) return model;
  const moved = new Map<number, number>();
  const buffers = old.filter((_, index) => {
    if (used.has(index)) moved.set(index, moved.size);
    return used.has(index);
  });
  const to = (index: number | undefined) => moved.get(index ?? 0) ?? 0;
  const next: Model = {
    ...model,
    buffers,
    subgraphs: model.subgraphs?.map((subgraph) => ({
      ...subgraph,
      tensors: subgraph.tensors?.map((tensor) => ({ ...tensor, buffer: to(tensor.buffer) })),
    })),
  };
  if (model.metadata) next.metadata = model.metadata.map((entry) => ({ ...entry, buffer: to(entry.buffer) }));
  if (model.metadataBuffer) next.metadataBuffer = model.metadataBuffer.map(to);
  return next;
}
