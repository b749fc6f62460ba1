/**
 * Mixed precision: which layers have a dtype and granularity of their own (§2.3).
 *
 * A configuration gives one list of entries, and for every key of an "alternate" one further list; if there are several,
 * exactly one must fit the model. A list becomes a map from node names to settings. Nodes made later under a name that is in the
 * map (clones of weights, graph outputs) inherit its setting.
 */
import { MinmaxqError, Problems } from "../base/errors.ts";
import { activeNodes, describe, type Graph, type Node, resultsOf } from "../graph/graph.ts";
import type { LayerSetting } from "../passes/context.ts";

/** Names that share a setting. */
export interface LayerEntry extends LayerSetting {
  readonly names: readonly string[];
}

/** Settings by node name. Throws a MinmaxqError that lists every name that does not fit. */
export function layerSettings(
  graphs: readonly Graph[],
  lists: readonly (readonly LayerEntry[])[],
): Map<string, LayerSetting> {
  const nodes = graphs.flatMap(activeNodes).filter((node) => node.kind !== "output");
  const known = new Set(nodes.map((node) => node.name));
  for (const list of lists.length > 1 ? lists : []) refuseDuplicates(list);
  const fitting =
    lists.length === 1 ? lists : lists.filter((list) => list.every((e) => e.names.every((n) => known.has(n))));
  if (fitting.length !== 1) {
    const how = fitting.length === 0 ? "none of its alternatives fits" : `${fitting.length} of its alternatives fit`;
    throw new MinmaxqError(`layer settings: ${how} the names of the model; exactly one must`);
  }
  return layerMap(nodes, fitting[0]!);
}

function twice(name: string): string {
  return `layer settings: "${name}" is set twice; keep one of them`;
}

function refuseDuplicates(list: readonly LayerEntry[]): void {
  const problems = new Problems();
  const seen = new Set<string>();
  for (const name of list.flatMap((entry) => entry.names)) {
    if (seen.has(name)) problems.add(twice(name));
    seen.add(name);
  }
  problems.throwIfAny("layer settings that contradict each other");
}

function layerMap(nodes: readonly Node[], list: readonly LayerEntry[]): Map<string, LayerSetting> {
  const problems = new Problems();
  const byName = new Map<string, Node[]>();
  for (const node of nodes) byName.set(node.name, [...(byName.get(node.name) ?? []), node]);
  const map = new Map<string, LayerSetting>();
  const multiple = new Set<Node>();
  const seen = new Set<string>();
  for (const { names, ...setting } of list) {
    const { scheme, granularity } = setting;
    for (const name of names) {
      if (seen.has(name)) {
        problems.add(twice(name));
        continue;
      }
      seen.add(name);
      const found = byName.get(name) ?? [];
      if (!scheme.granularities.includes(granularity))
        problems.add(
          `layer settings: "${name}" is ${scheme.name} with granularity ${granularity}, which it does not have; use ${scheme.granularities[0]}`,
        );
      if (found.length === 0)
        problems.add(`layer settings: no tensor is called "${name}"; see the names with 'minmaxq inspect'`);
      const operators = new Set(found.map((node) => (node.kind === "result" ? node.inputs[0]! : node)));
      if (operators.size > 1)
        problems.add(`layer settings: "${name}" names ${operators.size} tensors; rename them first`);
      for (const operator of operators) {
        if (!operator.row.multiple) {
          map.set(name, setting);
        } else if (!operator.row.mixed && !setting.float && !setting.weights) {
          problems.add(
            `${describe(operator)}: cannot have a dtype of its own; remove "${name}" from the layer settings`,
          );
        } else {
          setAll(operator, setting, map, multiple, problems);
        }
      }
    }
  }
  problems.throwIfAny("layer settings that do not fit the model");
  return map;
}

function isOther(a: LayerSetting, b: LayerSetting): boolean {
  return a.scheme !== b.scheme || a.granularity !== b.granularity || a.float !== b.float || a.weights !== b.weights;
}

/** A setting of one result is one of the operator and all its results. */
function setAll(
  operator: Node,
  setting: LayerSetting,
  map: Map<string, LayerSetting>,
  multiple: Set<Node>,
  problems: Problems,
): void {
  for (const node of [operator, ...resultsOf(operator)]) {
    const old = map.get(node.name);
    if (multiple.has(operator) && old && isOther(old, setting))
      problems.add(`${describe(operator)}: its results are set differently; they must have one dtype and granularity`);
    map.set(node.name, setting);
  }
  multiple.add(operator);
}
