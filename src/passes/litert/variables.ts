/**
 * Variables that operators name (VAR_HANDLE): kernels copy integers in and out, so all that read or write one have its parameters.
 *
 *     VAR_HANDLE v ─▶ READ_VARIABLE a ─▶ ADD ─▶ s ─▶ ASSIGN_VARIABLE v      a and s: one scale
 *
 * A variable that another subgraph uses, too (where it gets its first value, say), stays float with all its readers and writers: a subgraph is
 * quantized by its own.
 */
import { activeNodes, type FloatReason, type Graph, isConstant, type Node } from "../../graph/graph.ts";
import { option } from "../../graph/options.ts";
import { litertKernel } from "../../rules/litert-kernels.ts";

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
  const elsewhere = new Set(
    graphs.filter((other) => other !== graph).flatMap((other) => [...variablesOf(other).keys()]),
  );
  return [...variablesOf(graph)].flatMap(([name, uses]) => {
    const reason = elsewhere.has(name)
      ? "another subgraph uses its variable"
      : uses.some(({ node, value }) => node.float !== null || isConstant(value))
        ? "others that read or write its variable stay float"
        : null;
    if (reason === null) return [];
    const open = uses.filter(({ node }) => node.float === null);
    return open.map(({ node }): [Node, FloatReason] => [node, { code: "variable", text: reason }]);
  });
}
