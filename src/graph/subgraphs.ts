/** Which subgraphs others run. */
import type { Model } from "../model/index.ts";

/** Indices of subgraphs that operators run (IF, WHILE, CALL_ONCE …): every option whose name ends in "SubgraphIndex". */
export function calledSubgraphs(model: Model): Set<number> {
  const called = new Set<number>();
  for (const subgraph of model.subgraphs ?? []) {
    for (const operator of subgraph.operators ?? []) {
      for (const options of [operator.builtinOptions?.value, operator.builtinOptions2?.value]) {
        for (const [name, value] of Object.entries(options ?? {})) {
          if (/subgraphIndex$/i.test(name) && typeof value === "number") called.add(value);
        }
      }
    }
  }
  return called;
}
