/**
 * Variables that operators name (VAR_HANDLE): kernels copy integers in and out, so all that read or write one have its parameters.
 *
 *     VAR_HANDLE v ─▶ READ_VARIABLE a ─▶ ADD ─▶ s ─▶ ASSIGN_VARIABLE v      a and s: one scale
 *
 * What another subgraph assigns once, before anything else, is the variable's first value:
 *
 *     CALL_ONCE ─▶ [ c ─▶ ASSIGN_VARIABLE v ]      the constant c has that scale, too, and its range counts for it
 *
 * A variable that another subgraph uses in any other way stays float with all its readers and writers: a subgraph is quantized by its own
 * samples, and no order of two subgraphs' runs is known.
 */
import { ownConstant } from "../../graph/edit.ts";
import { activeNodes, type FloatReason, type Graph, isConstant, type Node } from "../../graph/graph.ts";
import { option } from "../../graph/options.ts";
import { quantParam } from "../../graph/quantparam.ts";
import { subgraphCalls } from "../../model/subgraph-calls.ts";
import { kindFacts } from "../../rules/kind-facts.ts";
import { litertKernel } from "../../rules/litert-kernels.ts";
import { type Context, schemeOf } from "../context.ts";
import { quantizeByParameters } from "../minmax/own-values.ts";

/** An operator that reads or writes a variable, and the tensor that is its value. */
export interface VariableUse {
  readonly node: Node;
  readonly value: Node;
  /** Which operand the value is; undefined where it is read. */
  readonly index: number | undefined;
}

/** Readers and writers of a graph by variable, in creation order. */
export function variablesOf(graph: Graph): Map<string, VariableUse[]> {
  const uses = new Map<string, VariableUse[]>();
  for (const node of activeNodes(graph)) {
    const { variable } = litertKernel(node.op);
    const handle = node.inputs[0];
    if (node.kind !== "operator" || !variable || variable === "is" || !handle) continue;
    const index = variable === "read" ? undefined : variable.written;
    const value = index === undefined ? node : node.inputs[index];
    if (!value) continue;
    const name = variableOf(handle);
    uses.set(name, [...(uses.get(name) ?? []), { node, value, index }]);
  }
  return uses;
}

/** Handles of one name are one variable, in whatever subgraph. */
export function variableOf(handle: Node): string {
  return litertKernel(handle.op).variable === "is"
    ? JSON.stringify([option(handle, "container") ?? "", option(handle, "sharedName") ?? ""])
    : `tensor ${handle.name}`;
}

/** Readers and writers that have to stay float, each with its reason: another subgraph has the variable, or one of them is float already. */
export function floatVariables(graph: Graph, graphs: readonly Graph[]): [Node, FloatReason][] {
  const own = variablesOf(graph);
  if (own.size === 0) return [];
  const others = usesElsewhere(graph, graphs);
  return [...own].flatMap(([name, uses]) => {
    const reason =
      foreignUse(others.get(name) ?? []) ??
      (uses.some(({ node, value }) => node.float !== null || isConstant(value))
        ? "others that read or write its variable stay float"
        : null);
    if (reason === null) return [];
    const open = uses.filter(({ node }) => node.float === null);
    return open.map(({ node }): [Node, FloatReason] => [node, { code: "variable", text: reason }]);
  });
}

/** A use in another subgraph; `once`: that subgraph is run once, before anything else, and by nothing but that. */
interface ForeignUse extends VariableUse {
  readonly graph: Graph;
  readonly once: boolean;
}

function usesElsewhere(graph: Graph, graphs: readonly Graph[]): Map<string, ForeignUse[]> {
  const uses = new Map<string, ForeignUse[]>();
  const once = runOnce(graph, graphs);
  for (const other of graphs) {
    if (other === graph) continue;
    for (const [name, found] of variablesOf(other))
      uses.set(name, [
        ...(uses.get(name) ?? []),
        ...found.map((use) => ({ ...use, graph: other, once: once.has(other) })),
      ]);
  }
  return uses;
}

/** Graphs that operators of `graph` run once (CALL_ONCE) and that nothing else runs otherwise. */
function runOnce(graph: Graph, graphs: readonly Graph[]): ReadonlySet<Graph> {
  const [once, often] = [new Set<Graph>(), new Set<Graph>()];
  for (const caller of graphs)
    for (const node of activeNodes(caller)) {
      if (node.kind !== "operator" || !node.operator) continue;
      for (const subgraph of subgraphCalls(node.operator)) {
        const called = graphs[subgraph];
        if (!called) continue;
        if (!kindFacts(node.op).lasts) often.add(called);
        else if (caller === graph) once.add(called);
      }
    }
  return new Set([...once].filter((called) => !often.has(called)));
}

/** Why uses in other subgraphs keep a variable float; null where they only give it its first value. */
function foreignUse(uses: readonly ForeignUse[]): string | null {
  if (uses.some(({ once }) => !once)) return "another subgraph uses its variable";
  if (uses.some(({ index }) => index === undefined))
    return "the subgraph that gives its variable a first value reads it, too";
  const plain = uses.every(({ value }) => isConstant(value) && value.dtype === "FLOAT32");
  return plain ? null : "its variable's first value is computed, or quantized already";
}

/** By variable, what other subgraphs give as first values: constants. Empty for variables that stay float. */
export function firstValues(graph: Graph, graphs: readonly Graph[]): Map<string, readonly VariableUse[]> {
  const found = new Map<string, readonly VariableUse[]>();
  if (variablesOf(graph).size === 0) return found;
  for (const [name, uses] of usesElsewhere(graph, graphs)) if (foreignUse(uses) === null) found.set(name, uses);
  return found;
}

/** First values get the parameters of their variables, which are known now. */
export function quantizeFirstValues(graph: Graph, context: Context): void {
  const own = variablesOf(graph);
  if (own.size === 0) return;
  const others = usesElsewhere(graph, context.graphs);
  for (const [name, uses] of own) {
    const [use] = uses.filter(({ node, value }) => node.float === null && value.quant);
    const foreign = others.get(name) ?? [];
    if (!use || foreignUse(foreign) !== null) continue;
    const { activation } = schemeOf(context, use.node);
    const provenance = { from: "tied", tensors: [use.value.name] } as const;
    for (const { graph: other, node, index } of foreign)
      quantizeByParameters(
        context,
        ownConstant(other, node, index!),
        activation,
        quantParam({ ...use.value.quant!, provenance }),
      );
  }
}
