/** Leaving subgraphs out. */
import { withSubgraphs } from "./references.ts";
import type { Model } from "./schema.gen.ts";

/** The model with only the subgraphs of these numbers, which must be all that they and signatures name; numbers that name subgraphs follow. */
export function withOnlySubgraphs(model: Model, kept: ReadonlySet<number>): Model {
  const order = (model.subgraphs ?? []).map((_, index) => index).filter((index) => kept.has(index));
  if (order.length === (model.subgraphs ?? []).length) return model;
  const move = (index: number) => order.indexOf(index);
  const next: Model = {
    ...model,
    subgraphs: order.map((index) => {
      const subgraph = model.subgraphs![index]!;
      return { ...subgraph, operators: subgraph.operators?.map((operator) => withSubgraphs(operator, move)) };
    }),
  };
  if (model.signatureDefs)
    next.signatureDefs = model.signatureDefs.map((signature) => ({
      ...signature,
      subgraphIndex: move(signature.subgraphIndex ?? 0),
    }));
  return next;
}
