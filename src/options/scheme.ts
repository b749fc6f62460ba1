/** The scheme that options mean: the one that is named, else the one that the runtime of the output's format takes. */
import { UsageError } from "../base/errors.ts";
import { dialectOf } from "../driver/paths.ts";
import { DEFAULT_SCHEMES, SCHEMES, type Scheme } from "../rules/schemes.ts";
import { targetNamed } from "../rules/targets.ts";
import type { OptionValues } from "./values.ts";

type Given = Pick<OptionValues, "scheme" | "dtype" | "target" | "activations"> & {
  readonly output?: string | undefined;
};

/** `output` may not be known yet (a job list names it later): then it counts as .circle. Throws UsageError for kinds of activations that it does not have. */
export function schemeOf({ scheme, dtype, target, output, activations }: Given): Scheme {
  const name = scheme ?? dtype ?? targetNamed(target)?.scheme;
  const row: Scheme = name !== undefined ? SCHEMES[name] : DEFAULT_SCHEMES[output ? dialectOf(output) : "circle"];
  if (activations === undefined || (activations === "symmetric") === row.activation.symmetric) return row;
  if (activations === "symmetric" && row.symmetricActivation) return { ...row, activation: row.symmetricActivation };
  throw new UsageError(
    `--activations ${activations}: ${row.name} has no such activations; leave the option out, or choose --scheme int8`,
  );
}
