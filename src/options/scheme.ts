/** The scheme that options mean: the one that is named, else the one that the runtime of the output's format takes. */
import { dialectOf } from "../driver/paths.ts";
import { DEFAULT_SCHEMES, SCHEMES, type Scheme } from "../rules/schemes.ts";
import { targetNamed } from "../rules/targets.ts";
import type { OptionValues } from "./values.ts";

/** `output` may not be known yet (a job list names it later): then it counts as .circle. */
export function schemeOf({
  scheme,
  dtype,
  target,
  output,
}: Pick<OptionValues, "scheme" | "dtype" | "target"> & { readonly output?: string | undefined }): Scheme {
  const named = scheme ?? dtype ?? targetNamed(target)?.scheme;
  return named !== undefined ? SCHEMES[named] : DEFAULT_SCHEMES[output ? dialectOf(output) : "circle"];
}
