/**
 * The graph that passes work on: one subgraph of a model as nodes.
 *
 * It follows the conventions of the reference (§1.4), because the order and identity of nodes show in the results:
 * an operator with one result *is* the tensor it yields; an operator of a multi-result kind has a `result` node for each
 * result; graph inputs, outputs, constants and variables are nodes too. Nodes are never removed: what the outputs do
 * not reach is simply not written, but still counts as a user (bypassed Quantize operators must).
 */
import type { Operator, Tensor, TensorType } from "../model/index.ts";
import type { Constant } from "../weights/constant.ts";
import type { QuantParam } from "./quantparam.ts";

/** Element type, by its name in the schema. */
export type Dtype = keyof typeof TensorType;

export type NodeKind = "input" | "constant" | "variable" | "operator" | "result" | "output";

export interface Node {
  /** Creation order; phases that the reference runs over a set of nodes run in this order. */
  readonly id: number;
  readonly kind: NodeKind;
  /** Operator name of the schema ("CONV_2D", "CUSTOM"); a `result` has its operator's. Empty for other kinds. */
  readonly op: string;
  /** Name of the tensor; a multi-result operator has its first result's. */
  name: string;
  dtype: Dtype;
  readonly shape: readonly number[];
  quant: QuantParam | null;
  /** Operands; null where an optional one is absent. An `output` has its producer, a `result` its operator. */
  readonly inputs: (Node | null)[];
  /** Distinct nodes that have this one as an operand, reachable or not. */
  readonly users: Set<Node>;
  /** Which result of its operator a `result` is. */
  readonly resultIndex: number;
  /** The operator's table as read (custom data, intermediates …); null for operators that passes made. */
  readonly operator: Operator | null;
  /** The operator's option table; a pass that changes it replaces it. */
  options: Operator["builtinOptions"] | null;
  /** Opcode version and custom name as read. */
  readonly version: number;
  readonly customCode: string;
  /** The tensor's table as read; null for tensors that passes made. */
  readonly tensor: Tensor | null;
  /** `quant` as read: while it is still this very object, the file's own table is kept as it is. */
  readonly quantAsRead: QuantParam | null;
  /** What a constant holds. */
  constant: Constant | null;
  /** Why an operator stays float; null when it is quantized. */
  float: string | null;
}

export interface Graph {
  readonly name: string;
  /** All nodes in creation order. */
  readonly nodes: Node[];
  /** Graph inputs and outputs in index order. */
  readonly inputs: Node[];
  readonly outputs: Node[];
  /** Declared dtypes are state apart from the nodes' (§10.4). */
  readonly inputDtypes: Dtype[];
  readonly outputDtypes: Dtype[];
}

/** The fields of a new node that differ from "nothing". */
export type NodeInit = Partial<Omit<Node, "id" | "users" | "inputs">> & {
  kind: NodeKind;
  name: string;
  dtype: Dtype;
  inputs?: readonly (Node | null)[];
};

/** Adds a node and registers it with its operands' users. */
export function addNode(graph: Graph, init: NodeInit): Node {
  const node: Node = {
    op: "",
    shape: [],
    quant: null,
    resultIndex: 0,
    operator: null,
    options: null,
    version: 1,
    customCode: "",
    tensor: null,
    quantAsRead: null,
    constant: null,
    float: null,
    ...init,
    id: graph.nodes.length,
    inputs: [...(init.inputs ?? [])],
    users: new Set(),
  };
  graph.nodes.push(node);
  for (const operand of node.inputs) operand?.users.add(node);
  return node;
}

/** Points one operand slot of `node` to `operand`. */
export function setInput(node: Node, index: number, operand: Node | null): void {
  const old = node.inputs[index];
  node.inputs[index] = operand;
  if (old && !node.inputs.includes(old)) old.users.delete(node);
  operand?.users.add(node);
}

/** Points every operand slot that refers to `from` (also of unreachable nodes and outputs) to `to`. */
export function replace(from: Node, to: Node): void {
  for (const user of [...from.users]) {
    user.inputs.forEach((operand, index) => {
      if (operand === from) setInput(user, index, to);
    });
  }
}

/**
 * Nodes reachable backwards from the outputs, and from operators whose effect is not seen there, in creation order: a snapshot;
 * nodes made later are not in it.
 */
export function activeNodes(graph: Graph): Node[] {
  // By id, not in a Set: every pass asks, and most models are done before a Set's work is compiled.
  const seen = new Uint8Array(graph.nodes.length);
  const open: Node[] = [];
  const see = (node: Node) => {
    if (seen[node.id] === 1) return;
    seen[node.id] = 1;
    open.push(node);
  };
  for (const node of graph.outputs) see(node);
  for (const node of graph.nodes) if (actsOnItsOwn(node)) see(node);
  for (let node = open.pop(); node; node = open.pop()) for (const operand of node.inputs) if (operand) see(operand);
  return graph.nodes.filter(({ id }) => seen[id] === 1);
}

/** Yields no tensor, or changes a variable: nobody's operand shows its effect. */
function actsOnItsOwn(node: Node): boolean {
  if (node.kind !== "operator" || node.operator === null) return false;
  if ((node.operator.outputs?.length ?? 0) === 0) return true;
  return node.inputs.some((operand) => operand?.kind === "variable" && operand.tensor?.isVariable === true);
}

/** Depth-first post-order from the outputs, operands in operand order, the last output explored first (§1.4). */
export function postorder(graph: Graph): Node[] {
  const order: Node[] = [];
  const seen = new Set<Node>();
  // An explicit stack: real graphs are deeper than the call stack.
  const stack: { node: Node; next: number }[] = [];
  for (const root of [...graph.outputs].reverse()) {
    if (seen.has(root)) continue;
    seen.add(root);
    stack.push({ node: root, next: 0 });
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!;
      if (top.next === top.node.inputs.length) {
        order.push(top.node);
        stack.pop();
        continue;
      }
      const operand = top.node.inputs[top.next++];
      if (operand && !seen.has(operand)) {
        seen.add(operand);
        stack.push({ node: operand, next: 0 });
      }
    }
  }
  return order;
}

/** The `result` nodes of a multi-result operator that somebody uses or the file has. */
export function resultsOf(operator: Node): Node[] {
  return [...operator.users].filter((user) => user.kind === "result");
}

export function isConstant(node: Node | null | undefined): node is Node & { constant: Constant } {
  return node?.kind === "constant";
}

/** How messages call a node: `CONV_2D "conv1"`, `input "x"`, `constant "w"`. */
export function describe(node: Node): string {
  const what = node.op === "CUSTOM" ? `CUSTOM:${node.customCode}` : node.op || node.kind;
  return `${what} "${node.name}"`;
}

export { fusedActivation } from "./options.ts";
