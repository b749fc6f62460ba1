/**
 * The graph that passes work on: one subgraph of a model as nodes.
 *
 * It follows the conventions of the reference (§1.4), because the order and identity of nodes show in the results:
 * an operator with one result *is* the tensor it yields; an operator of a multi-result kind has a `result` node for each
 * result; graph inputs, outputs, constants and variables are nodes too. Nodes are never removed: what the outputs do
 * not reach is simply not written, but still counts as a user (bypassed Quantize operators must).
 */
import type { Operator, Tensor } from "../model/index.ts";
import type { Dtype } from "../model/tensor-types.ts";
import type { OperatorRow } from "../rules/operator-row.ts";
import { type RuleSet, rowOf } from "../rules/operators.ts";
import type { Constant } from "../weights/constant.ts";
import type { ValueChange } from "./changes.ts";
import { hasRange, type QuantParam } from "./quantparam.ts";

export type { Dtype };

export type NodeKind = "input" | "constant" | "variable" | "operator" | "result" | "output";

export interface Node {
  /** Creation order; phases that the reference runs over a set of nodes run in this order. */
  readonly id: number;
  readonly kind: NodeKind;
  /** Operator name of the schema ("CONV_2D", "CUSTOM"); a `result` has its operator's. Empty for other kinds. */
  readonly op: string;
  /** The row of the operator table: what quantization knows of this kind. */
  readonly row: OperatorRow;
  /** Name of the tensor; a multi-result operator has its first result's. */
  name: string;
  dtype: Dtype;
  readonly shape: readonly number[];
  /** Parameters. Setting them keeps those that they replace in `former`. */
  quant: QuantParam | null;
  /** The parameters it had before, oldest first, each with the dtype it had then: the chain that `--explain` tells. */
  readonly former: readonly Former[];
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
  /** Opcode version: as read, until a pass raises it. */
  version: number;
  /** Custom name as read. */
  readonly customCode: string;
  /** The tensor's table as read; null for tensors that passes made. A pass that changes it replaces it. */
  tensor: Tensor | null;
  /** `quant` as read: while it is still this very object, the file's own table is kept as it is. */
  readonly quantAsRead: QuantParam | null;
  /** What a constant holds. */
  constant: Constant | null;
  /** What was done to a constant's values, oldest first. */
  changes: readonly ValueChange[];
  /** Why an operator is left as it is: it stays float, or was quantized already; null when it is quantized. */
  float: FloatReason | null;
}

/** Parameters that a node no longer has. */
export interface Former {
  readonly quant: QuantParam;
  readonly dtype: Dtype;
}

/** Why something stays as it is, mostly float: a stable code for programs, a phrase for people. */
export interface FloatReason {
  readonly code: FloatCode;
  readonly text: string;
}

/** Codes of reasons; they are part of the Report and do not change. */
export type FloatCode =
  | "no-rule"
  | "custom-operator"
  | "float-by-definition"
  | "constant-operand"
  | "dynamic-weights"
  | "other-dtype"
  | "state-without-range"
  | "weights-do-not-fit"
  | "values-do-not-fit"
  /** Has a constant, or a recorded range, that is infinite and that nothing allows to clip. */
  | "infinite-constant"
  | "infinite-range"
  /** The family of schemes has no kernel for it in this dtype, or none with its fused activation. */
  | "no-kernel"
  /** An operand has values that its kernel cannot take. */
  | "outside-domain"
  /** Others that read or write its variable stay float. */
  | "variable"
  /** A person asked for it. */
  | "asked-for"
  /** The target has no kernel for it, or none of use. */
  | "target"
  /** Lies between operators that stay float, and would only lose. */
  | "between-float-operators"
  /** Is no float operator: the file has it quantized, and it stays so. */
  | "quantized-already"
  | "constant-output"
  | "float-producer"
  | "called-subgraph"
  | "subgraph-without-ranges"
  /** Not float for a reason of its own: a Dequantize that a float operator reads. */
  | "border"
  /** Has no float tensors, so there is nothing to quantize. */
  | "nothing-to-do";

export interface Graph {
  readonly name: string;
  /** Whose rules its operators follow. */
  readonly rules: RuleSet;
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
export type NodeInit = Partial<Omit<Node, "id" | "row" | "users" | "inputs" | "former">> & {
  kind: NodeKind;
  name: string;
  dtype: Dtype;
  inputs?: readonly (Node | null)[];
};

/** A node as the graph holds it. A class only because replaced parameters are kept, whatever replaces them. */
class GraphNode implements Node {
  readonly id: number;
  readonly kind: NodeKind;
  readonly op: string;
  readonly row: OperatorRow;
  name: string;
  dtype: Dtype;
  readonly shape: readonly number[];
  readonly inputs: (Node | null)[];
  readonly users: Set<Node> = new Set();
  readonly resultIndex: number;
  readonly operator: Operator | null;
  options: Operator["builtinOptions"] | null;
  version: number;
  readonly customCode: string;
  readonly tensor: Tensor | null;
  readonly quantAsRead: QuantParam | null;
  constant: Constant | null;
  changes: readonly ValueChange[];
  float: FloatReason | null;
  former: Former[] = NO_FORMER;
  private parameters: QuantParam | null;

  constructor(id: number, rules: RuleSet, init: NodeInit) {
    this.id = id;
    this.kind = init.kind;
    this.op = init.op ?? "";
    this.row = rowOf(this.op, rules);
    this.name = init.name;
    this.dtype = init.dtype;
    this.shape = init.shape ?? [];
    this.parameters = init.quant ?? null;
    this.inputs = [...(init.inputs ?? [])];
    this.resultIndex = init.resultIndex ?? 0;
    this.operator = init.operator ?? null;
    this.options = init.options ?? null;
    this.version = init.version ?? 1;
    this.customCode = init.customCode ?? "";
    this.tensor = init.tensor ?? null;
    this.quantAsRead = init.quantAsRead ?? null;
    this.constant = init.constant ?? null;
    this.changes = init.changes ?? NO_CHANGES;
    this.float = init.float ?? null;
  }

  get quant(): QuantParam | null {
    return this.parameters;
  }

  set quant(next: QuantParam | null) {
    if (this.parameters !== null && this.parameters !== next)
      this.former = [...this.former, { quant: this.parameters, dtype: this.dtype }];
    this.parameters = next;
  }
}

const NO_CHANGES: readonly ValueChange[] = [];

/** Most nodes never replace parameters; they share this one. */
const NO_FORMER: Former[] = [];

/** Adds a node and registers it with its operands' users. */
export function addNode(graph: Graph, init: NodeInit): Node {
  const node = new GraphNode(graph.nodes.length, graph.rules, init);
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

/** Yields no tensor, or changes a variable: no operand shows its effect. */
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

/** The `result` nodes of a multi-result operator that have users or that the file has. */
export function resultsOf(operator: Node): Node[] {
  return [...operator.users].filter((user) => user.kind === "result");
}

/** The tensors that an operator yields; none of one that only has an effect (ASSIGN_VARIABLE). */
export function yieldedBy(operator: Node): Node[] {
  if (operator.operator && !operator.operator.outputs?.length) return [];
  const results = resultsOf(operator);
  return results.length > 0 ? results : [operator];
}

export function isConstant(node: Node | null | undefined): node is Node & { constant: Constant } {
  return node?.kind === "constant";
}

/**
 * The parameters with the last range of its own that a node had, also where it was dropped since; null when it never had one. A range that
 * came with a neighbour's parameters is not its own.
 */
export function withOwnRange({ quant, former }: Node): QuantParam | null {
  const all = [quant, ...former.map((one) => one.quant).reverse()];
  return all.find((each) => hasRange(each) && isOwn(each)) ?? null;
}

function isOwn({ provenance }: QuantParam): boolean {
  return ["recorded", "file", "range", "own values"].includes(provenance.from);
}

/** The last range per tensor of a node's own. */
export function ownRange(node: Node): { readonly min: number; readonly max: number } | null {
  const found = withOwnRange(node);
  return found && found.min.length === 1 && found.max.length === 1 ? { min: found.min[0]!, max: found.max[0]! } : null;
}

/** How messages call a node: `CONV_2D "conv1"`, `input "x"`, `constant "w"`. */
export function describe(node: Node): string {
  const what = node.op === "CUSTOM" ? `CUSTOM:${node.customCode}` : node.op || node.kind;
  return `${what} "${node.name}"`;
}
