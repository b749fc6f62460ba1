/** Which subgraphs operators run (IF, WHILE, CALL, CALL_ONCE, STABLEHLO_REDUCE …): those that their options name (references.ts). */
import { subgraphsOf } from "./references.ts";
import type { Model, Operator } from "./schema.gen.ts";

/** Numbers of the subgraphs that an operator runs, in the order of its options. */
export function subgraphCalls(operator: Operator): number[] {
  return subgraphsOf(operator).flatMap(({ indices }) => indices.filter((index) => index >= 0));
}

/** What the options call an operator that stands for a subgraph ("odml.rms_norm"); empty where they do not. */
export function calledName({ builtinOptions2 }: Operator): string {
  const options = builtinOptions2?.value as { readonly name?: unknown } | null | undefined;
  return typeof options?.name === "string" ? options.name : "";
}

/** Subgraphs that an operator of another one runs. */
export function calledSubgraphs(model: Model): Set<number> {
  const called = new Set<number>();
  for (const [own, { operators }] of (model.subgraphs ?? []).entries())
    for (const operator of operators ?? [])
      for (const subgraph of subgraphCalls(operator)) if (subgraph !== own) called.add(subgraph);
  return called;
}

/** The subgraph and all that it runs, in the order in which they are found. */
export function reachableSubgraphs(model: Model, subgraph: number): number[] {
  const found = [subgraph];
  for (let i = 0; i < found.length; i++)
    for (const operator of model.subgraphs?.[found[i]!]?.operators ?? [])
      for (const callee of subgraphCalls(operator)) if (!found.includes(callee)) found.push(callee);
  return found;
}
