/** What a model says of its inputs, for pictures and sounds. */
import { type Model, statedInputs } from "../model/index.ts";
import type { KnownInput } from "./media-plan.ts";
import { scaledInputs } from "./scaled-inputs.ts";

/** For each input of the first subgraph, in its order. */
export function knownInputs(model: Model): KnownInput[] {
  const scaled = scaledInputs(model);
  return statedInputs(model).map((stated, i) => ({ ...stated, scaled: scaled[i] }));
}
