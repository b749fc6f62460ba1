/** Traps that show only where a whole graph is looked at: variables, and versions that are marked too low. */
import { describe, type Node } from "../../graph/graph.ts";
import { litertKernel } from "../../rules/litert-kernels.ts";
import { hasVersions } from "../../rules/versions.ts";
import { type Context, warn } from "../context.ts";
import { versionOf } from "./operator-versions.ts";
import { variableOf } from "./variables.ts";
import { AGAIN } from "./verify-case.ts";

/**
 * Rule 20: all that read or write a variable share its parameters. One line for each that differs from the first.
 */
export function variableTraps(nodes: readonly Node[]): string[] {
  const first = new Map<string, Node>();
  const problems: string[] = [];
  for (const node of nodes) {
    const { variable } = litertKernel(node.op);
    const handle = node.inputs[0];
    if (node.kind !== "operator" || !variable || variable === "is" || !handle) continue;
    const value = variable === "read" ? node : node.inputs[variable.written];
    if (!value?.quant) continue;
    const name = variableOf(handle);
    const known = first.get(name);
    if (!known) {
      first.set(name, value);
      continue;
    }
    const same = known.dtype === value.dtype && known.quant!.scale[0] === value.quant.scale[0];
    if (!same || known.quant!.zeroPoint[0] !== value.quant.zeroPoint[0])
      problems.push(
        `${describe(node)}: "${value.name}" and "${known.name}" are values of one variable with other parameters, and LiteRT copies integers; ${AGAIN}`,
      );
  }
  return problems;
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
