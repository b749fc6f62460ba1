/** What a model says of its inputs, for pictures and sounds. */
import { type Model, statedInputs } from "../model/index.ts";
import type { KnownInput } from "./media-plan.ts";
import { scaledInputs } from "./scaled-inputs.ts";

/** For each input of a subgraph (0 by default), in its order. */
export function knownInputs(model: Model, subgraph = 0): KnownInput[] {
  const scaled = scaledInputs(model, subgraph);
  return statedInputs(model, subgraph).map((stated, i) => ({ ...stated, scaled: scaled[i] }));
}
