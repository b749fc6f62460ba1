/**
 * Raises operators to the version that says what is asked of them, and takes dangerous defaults out of their options.
 *
 *     CONV_2D, version 1, float32 → int8   →   CONV_2D, version 3
 *     ADD, int16 with pot_scale_int16 as the schema has it (true)   →   false, version 3
 *
 * Operators of one kind get one version, the highest that one of them needs: a runtime that lacks it lacks the model anyway, and files stay
 * with one operator code a kind. Never lowered. Runs when all graphs have their dtypes and scales; the metadata entry that says the least
 * runtime follows when the file is written (src/graph/runtime-version.ts).
 */
import { factsOf } from "../../graph/facts.ts";
import { activeNodes, type Node } from "../../graph/graph.ts";
import { setOptions } from "../../graph/options.ts";
import type { BuiltinOptions } from "../../model/index.ts";
import { SAFE_OPTIONS } from "../../rules/safe-options.ts";
import { hasVersions, neededVersion } from "../../rules/versions.ts";
import type { Workspace } from "../context.ts";

/** Sets options and versions of all operators of a workspace. */
export function setOperatorVersions(space: Workspace): void {
  const operators = space.graphs.flatMap(activeNodes).filter(({ kind }) => kind === "operator");
  for (const node of operators) setSafeOptions(node);
  // Custom operators and Circle's own have no row; their versions mean nothing to each other.
  for (const same of Map.groupBy(
    operators.filter(({ op }) => hasVersions(op)),
    ({ op }) => op,
  ).values()) {
    const version = Math.max(...same.map(versionOf));
    for (const node of same) node.version = version;
  }
  space.versioned = true;
}

/** The version that an operator has to have: its own, or a later one where it asks for more. */
export function versionOf(node: Node): number {
  return Math.max(node.version, neededVersion(node.op, factsOf(node)) ?? 0);
}

/** What the file had quantized already keeps the options that it was quantized with. */
function setSafeOptions(node: Node): void {
  const safe = SAFE_OPTIONS[node.op];
  if (!safe || node.float || !safe.when(factsOf(node))) return;
  if (!node.options?.value) node.options = { type: safe.type, value: {} } as BuiltinOptions;
  setOptions(node, { [safe.name]: safe.value });
}
