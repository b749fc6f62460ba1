/** Parameters given by a person: forced on tensors, or copied from one tensor to another (§5.6). dtypes stay. */
import { Problems, UsageError } from "../../base/errors.ts";
import { activeNodes, type Graph, type Node } from "../../graph/graph.ts";
import { perTensor } from "../../graph/quantparam.ts";
import { zeroPointLimits } from "../../rules/dtypes.ts";

export interface ForcedParameters {
  readonly name: string;
  readonly scale: number;
  readonly zeroPoint: number;
}

/** Parameters as people write them. Malformed numbers are refused; the reference takes what it can read (§10.11). */
export function parametersFromText(name: string, scale: string, zeroPoint: string): ForcedParameters {
  const s = Math.fround(Number(scale));
  const z = Number(zeroPoint);
  if (scale.trim() === "" || !Number.isFinite(s) || s < 0)
    throw new UsageError(`the scale "${scale}" of ${name} is no float32 number from 0`);
  if (!/^[+-]?\d+$/.test(zeroPoint.trim()) || !Number.isSafeInteger(z))
    throw new UsageError(`the zero point "${zeroPoint}" of ${name} is no whole number`);
  return { name, scale: s, zeroPoint: z };
}

/**
 * Replaces the parameters of the named tensors by one scale and zero point each. Throws for every name that is not there.
 * `likeReference`: a name that belongs to a result of SPLIT and its like and to the operator itself sets nothing, and numbers
 * that a tensor's dtype cannot have are taken.
 */
export function forceParameters(
  graphs: readonly Graph[],
  forced: readonly ForcedParameters[],
  likeReference = false,
): void {
  const problems = new Problems();
  const done = new Set<string>();
  for (const { name, scale, zeroPoint } of forced) {
    const nodes = namedIn(graphs, name);
    if (done.has(name)) problems.add(`"${name}": is given twice; keep one`);
    else if (nodes.length === 0) problems.add(missing(name));
    for (const node of nodes) {
      const problem = likeReference ? null : unusable(node, scale, zeroPoint);
      if (problem) problems.add(`"${name}": ${problem}`);
      const shadowed = likeReference && node.kind === "result" && node.inputs[0]!.name === name;
      if (!shadowed) node.quant = perTensor(scale, zeroPoint, { from: "given" });
    }
    done.add(name);
  }
  problems.throwIfAny("parameters cannot be set");
}

/** Why parameters make no sense for a tensor, or null. */
function unusable({ dtype }: Node, scale: number, zeroPoint: number): string | null {
  if (scale === 0) return "a scale of 0 makes every value 0; give one above 0";
  const [least, largest] = zeroPointLimits(dtype) ?? [zeroPoint, zeroPoint];
  if (zeroPoint >= least && zeroPoint <= largest) return null;
  return `zero point ${zeroPoint} is no ${dtype}; give one from ${least} to ${largest}`;
}

/** Copies all parameters and ranges, pair by pair in order; a source without any clears. Throws for every missing name. */
export function copyParameters(
  graphs: readonly Graph[],
  pairs: readonly (readonly [from: string, to: string])[],
): void {
  const problems = new Problems();
  for (const [from, to] of pairs) {
    const sources = namedIn(graphs, from);
    const targets = namedIn(graphs, to);
    if (sources.length === 0) problems.add(missing(from));
    if (targets.length === 0) problems.add(missing(to));
    for (const target of targets) target.quant = sources[sources.length - 1]?.quant ?? null;
  }
  problems.throwIfAny("parameters cannot be copied");
}

function missing(name: string): string {
  return `"${name}": no tensor is called so; see the names with 'minmaxq inspect'`;
}

/** The tensor of a name in each graph; an output is its producer's tensor, so both are meant (§5.6). */
function namedIn(graphs: readonly Graph[], name: string): Node[] {
  return graphs.flatMap((graph) => {
    const found = activeNodes(graph).filter((node) => node.name === name);
    // An operator with several results has its first result's name; the result is meant.
    const tensors = found.filter((node) => node.kind !== "output" && !isOnlyOperator(node, found));
    const outputs = found.filter((node) => node.kind === "output");
    return [...tensors.slice(-1), ...outputs];
  });
}

function isOnlyOperator(node: Node, found: readonly Node[]): boolean {
  return found.some((other) => other.kind === "result" && other.inputs[0] === node);
}
