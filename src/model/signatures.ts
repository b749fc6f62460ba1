/** What signatures call subgraphs, and their inputs and outputs. */
import type { Model, TensorMap } from "./schema.gen.ts";

/** Names by tensor index. */
export interface SignatureNames {
  readonly inputs: ReadonlyMap<number, string>;
  readonly outputs: ReadonlyMap<number, string>;
}

/** A signature: a subgraph's name for callers. Several may name one subgraph. */
export interface Signature {
  readonly name: string;
  readonly subgraph: number;
}

/** The model's signatures in its order. One without a key has the empty name. */
export function signaturesOf(model: Model): Signature[] {
  return (model.signatureDefs ?? []).map(({ signatureKey = "", subgraphIndex = 0 }) => ({
    name: signatureKey,
    subgraph: subgraphIndex,
  }));
}

/**
 * The names that the model's signatures give a subgraph's tensors; where several name one, the first counts. `signature`: those of this
 * one come before all others.
 */
export function signatureNames(model: Model, subgraph: number, signature?: string): SignatureNames {
  const own = (model.signatureDefs ?? []).filter(({ subgraphIndex = 0 }) => subgraphIndex === subgraph);
  const asked = own.filter(({ signatureKey = "" }) => signatureKey === signature);
  const names = (side: "inputs" | "outputs") => {
    const maps: TensorMap[] = [...asked, ...own].flatMap((each) => each[side] ?? []).reverse();
    return new Map(maps.filter(({ name }) => name).map(({ name, tensorIndex = 0 }) => [tensorIndex, name!]));
  };
  return { inputs: names("inputs"), outputs: names("outputs") };
}
