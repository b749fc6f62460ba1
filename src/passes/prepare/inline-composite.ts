/**
 * The operators of a composite's decomposition take its place, so that each can be quantized.
 *
 *     x ─▶ STABLEHLO_COMPOSITE "odml.gelu" y   →   x ─▶ MUL y/half ─▶ … ─▶ MUL y
 *     (decomposition: a ─▶ MUL half ─▶ … ─▶ MUL b)
 *
 * The numbers are the same: the decomposition is what a composite means. A runtime that has a kernel for the composite no longer sees one, so this is done on
 * request only. Inner tensors get the composite's name before theirs; what the composite yields keeps its name, and its setting is that of
 * all operators. A decomposition that nothing runs any more is not written.
 *
 * Left whole is one that keeps a state, gives an operand or a constant back as it is, runs itself, or does not fit its operands.
 */
import {
  activeNodes,
  addNode,
  describe,
  type Graph,
  type Node,
  type NodeInit,
  replace,
  resultsOf,
  setInput,
} from "../../graph/graph.ts";
import { type Model, reachableSubgraphs, signaturesOf, subgraphCalls } from "../../model/index.ts";
import { detailTensors } from "../../model/references.ts";
import { kindFacts } from "../../rules/kind-facts.ts";
import { type Context, remark, type Workspace } from "../context.ts";
import { type Edit, retire } from "./edit.ts";

export function inlineComposite(graph: Graph, space: Workspace): Edit[] {
  const { model } = space.opened;
  const edits: Edit[] = [];
  // What was put in may be a composite again; none runs itself, so this ends.
  for (let at = 0; at < graph.nodes.length; at++) {
    const node = graph.nodes[at]!;
    if (node.kind !== "operator" || !node.operator || !kindFacts(node.op).decomposes || node.users.size === 0) continue;
    const subgraph = subgraphCalls(node.operator)[0] ?? -1;
    const body = space.graphs[subgraph];
    const reason = body ? reasonToLeave(model, node, body, subgraph) : "has no decomposition";
    if (reason) {
      remark(space.context, node, "composite-left-whole", `is left whole: ${reason}`, {});
      continue;
    }
    edits.push({ op: node.op, tensor: node.name });
    inline(graph, node, body!, space.context);
    if (subgraph !== 0 && signaturesOf(model).every((signature) => signature.subgraph !== subgraph))
      space.inlined.add(subgraph);
  }
  return edits;
}

function reasonToLeave(model: Model, node: Node, body: Graph, subgraph: number): string | null {
  const differs = (a: Node | null | undefined, b: Node) =>
    !a || a.dtype !== b.dtype || a.shape.length !== b.shape.length || a.shape.some((dim, i) => dim !== b.shape[i]);
  if (node.inputs.length !== body.inputs.length || body.inputs.some((input, i) => differs(node.inputs[i], input)))
    return "its decomposition takes other operands";
  const given = body.outputs.map(({ inputs }) => inputs[0]!);
  if (given.length !== (node.operator!.outputs ?? []).length)
    return "its decomposition yields another number of results";
  for (const { at, result } of placedResults(node))
    if (differs(given[at], result)) return `its decomposition yields "${result.name}" in another form`;
  if (given.some(({ kind }) => kind !== "operator" && kind !== "result") || new Set(given).size < given.length)
    return "its decomposition gives one tensor back twice, or one that it does not compute";
  const callees = subgraphCalls(node.operator!).flatMap((callee) => callsOf(model, callee));
  if (callees.includes(subgraph)) return "its decomposition runs itself";
  const state = activeNodes(body).find(
    ({ kind, operator, tensor }) =>
      kind === "variable" || (operator?.intermediates?.length ?? 0) > 0 || detailTensors(tensor ?? {}).length > 0,
  );
  return state ? `its decomposition has ${describe(state)}, which belongs to that subgraph` : null;
}

/** Subgraphs that a subgraph runs. */
function callsOf(model: Model, subgraph: number): number[] {
  const called = (model.subgraphs?.[subgraph]?.operators ?? []).flatMap(subgraphCalls);
  return called.flatMap((each) => reachableSubgraphs(model, each));
}

/** The tensors that an operator yields, each with its number. */
function placedResults(node: Node): { at: number; result: Node }[] {
  const results = resultsOf(node);
  return results.length > 0 ? results.map((result) => ({ at: result.resultIndex, result })) : [{ at: 0, result: node }];
}

function inline(graph: Graph, composite: Node, body: Graph, { layers }: Context): void {
  const outside = new Map(placedResults(composite).map(({ at, result }) => [body.outputs[at]!.inputs[0]!, result]));
  const setting = layers.get(composite.name);
  const names = new Set(graph.nodes.map(({ name }) => name));
  const copies = new Map<Node, Node>(body.inputs.map((input, i) => [input, composite.inputs[i]!]));
  const nodes = activeNodes(body).filter((node) => node.kind !== "output" && !copies.has(node));
  for (const node of nodes) {
    const result = outside.get(node);
    // An operator with separate results is no tensor.
    const named = result ?? outside.get(resultsOf(node)[0] ?? node);
    const name = named?.name ?? unique(`${composite.name}/${node.name}`, names);
    copies.set(node, addNode(graph, { ...fieldsOf(node), ...(result && tensorFields(result)), name }));
    const own = layers.get(node.name) ?? setting;
    if (own && node.kind !== "constant" && !layers.has(name)) layers.set(name, own);
  }
  // Afterwards, because an operand may be computed by an operator that stands behind in the file.
  for (const node of nodes) {
    const copy = copies.get(node)!;
    node.inputs.forEach((operand, index) => {
      copy.inputs[index] = null;
      setInput(copy, index, operand && copies.get(operand)!);
    });
  }
  for (const [inner, result] of outside) replace(result, copies.get(inner)!);
  retire(composite);
}

/** Everything but operands. The table is a new one: a tensor that is there twice is no clone of the first. */
function fieldsOf(node: Node): NodeInit {
  const { kind, op, dtype, shape, quant, quantAsRead, resultIndex, operator, options, version, customCode } = node;
  const { tensor, constant, name } = node;
  const fields = {
    kind,
    op,
    name,
    dtype,
    shape,
    quant,
    quantAsRead,
    resultIndex,
    operator,
    options,
    version,
    customCode,
  };
  return { ...fields, constant, tensor: tensor && { ...tensor } };
}

/** What the tensor outside says of itself. */
function tensorFields({ dtype, shape, quant, quantAsRead, tensor }: Node): Partial<NodeInit> {
  return { dtype, shape, quant, quantAsRead, tensor };
}

function unique(name: string, names: Set<string>): string {
  let found = name;
  for (let i = 1; names.has(found); i++) found = `${name}_${i}`;
  names.add(found);
  return found;
}
