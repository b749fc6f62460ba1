/** What signatures call the inputs and outputs of a subgraph. */
import type { Model, TensorMap } from "./schema.gen.ts";

/** Names by tensor index. */
export interface SignatureNames {
  readonly inputs: ReadonlyMap<number, string>;
  readonly outputs: ReadonlyMap<number, string>;
}

/** The names that the model's signatures give a subgraph's tensors; where several name one, the first counts. */
export function signatureNames(model: Model, subgraph: number): SignatureNames {
  const own = (model.signatureDefs ?? []).filter(({ subgraphIndex = 0 }) => subgraphIndex === subgraph);
  const names = (side: "inputs" | "outputs") => {
    const maps: TensorMap[] = own.flatMap((signature) => signature[side] ?? []).reverse();
    return new Map(maps.filter(({ name }) => name).map(({ name, tensorIndex = 0 }) => [tensorIndex, name!]));
  };
  return { inputs: names("inputs"), outputs: names("outputs") };
}
