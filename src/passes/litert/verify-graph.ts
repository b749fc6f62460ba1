/** Traps that show only where a whole graph is looked at: variables, and versions that are marked too low. */
import { describe, type Graph, type Node } from "../../graph/graph.ts";
import { litertKernel } from "../../rules/litert-kernels.ts";
import { hasVersions } from "../../rules/versions.ts";
import { type Context, warn } from "../context.ts";
import { versionOf } from "./operator-versions.ts";
import { variablesOf } from "./variables.ts";
import { AGAIN } from "./verify-case.ts";

/**
 * Rule 20: all that read or write a variable share its parameters, in whatever subgraph. One line for each operator of `nodes` whose value
 * differs from the first one's.
 */
export function variableTraps(nodes: readonly Node[], graphs: readonly Graph[]): string[] {
  const [some] = nodes.filter((node) => litertKernel(node.op).variable);
  if (!some) return [];
  const first = new Map<string, Node>();
  const own = new Set(nodes);
  const problems: string[] = [];
  for (const graph of graphs)
    for (const [name, uses] of variablesOf(graph))
      for (const { node, value } of uses) {
        const known = first.get(name);
        if (!known) first.set(name, value);
        else if (own.has(node) && !sameValues(known, value))
          problems.push(
            `${describe(node)}: "${value.name}" and "${known.name}" are values of one variable with other parameters, and LiteRT copies integers; ${AGAIN}`,
          );
      }
  return problems;
}

/** Floats, or integers with the same parameters. */
function sameValues(a: Node, b: Node): boolean {
  if (a.dtype !== b.dtype) return false;
  if (a.dtype === "FLOAT32" || !a.quant || !b.quant) return true;
  return a.quant.scale[0] === b.quant.scale[0] && a.quant.zeroPoint[0] === b.quant.zeroPoint[0];
}

/** Rule 17, second part: LiteRT runs what is marked too low, so that is no problem of a file. One warning for a kind, about its first operator. */
export function warnOfVersions(operators: readonly Node[], context: Context): void {
  for (const [op, same] of Map.groupBy(operators, (node) => node.op)) {
    const low = hasVersions(op) ? same.filter((node) => versionOf(node) > node.version) : [];
    const [first] = low;
    if (!first) continue;
    const needed = Math.max(...low.map(versionOf));
    const others = low.length > 1 ? ` (and ${low.length - 1} more)` : "";
    const text = `is marked as version ${first.version} of ${op}${others}, but uses what came with version ${needed}: runtimes that lack it fail late; ${AGAIN}`;
    warn(context, first, "operator-version", text);
  }
}
