/** The scheme and the target that options mean: those that are named, else those of the output's format. */
import { UsageError } from "../base/errors.ts";
import { dialectOf } from "../driver/paths.ts";
import {
  DEFAULT_SCHEME,
  DEFAULT_SCHEMES,
  SCHEMES,
  type Scheme,
  type SchemeName,
  WEIGHT_SCHEMES,
  type WeightScheme,
  type WeightSchemeName,
} from "../rules/schemes.ts";
import { DEFAULT_TARGETS, type Target, targetNamed, withCustom } from "../rules/targets.ts";
import type { OptionValues } from "./values.ts";

type Given = Pick<OptionValues, "scheme" | "dtype" | "target" | "activations"> & {
  readonly output?: string | undefined;
};

/** The scheme of weights alone that is named; undefined where activations are quantized, too. */
export function weightSchemeOf({ scheme }: Pick<OptionValues, "scheme">): WeightScheme | undefined {
  return scheme !== undefined && isOfWeights(scheme) ? WEIGHT_SCHEMES[scheme] : undefined;
}

/** The name that says most of it; equal where results are. */
export function schemeNameOf(options: Given): string {
  return (weightSchemeOf(options) ?? schemeOf(options)).name;
}

/**
 * The scheme of activations and weights; where weights alone are meant, what passes see that do not care. `output` may not be known yet (a
 * job list names it later): then it counts as .circle. Throws UsageError for kinds of activations that the scheme does not have.
 */
export function schemeOf({ scheme, dtype, target, output, activations }: Given): Scheme {
  const name = scheme ?? dtype ?? targetNamed(target)?.scheme;
  if (name !== undefined && isOfWeights(name)) return DEFAULT_SCHEME.scheme;
  const row: Scheme = name !== undefined ? SCHEMES[name] : DEFAULT_SCHEMES[output ? dialectOf(output) : "circle"];
  if (activations === undefined || (activations === "symmetric") === row.activation.symmetric) return row;
  if (activations === "symmetric" && row.symmetricActivation) return { ...row, activation: row.symmetricActivation };
  throw new UsageError(
    `--activations ${activations}: ${row.name} has no such activations; leave the option out, or choose --scheme int8`,
  );
}

function isOfWeights(name: SchemeName | WeightSchemeName): name is WeightSchemeName {
  return Object.hasOwn(WEIGHT_SCHEMES, name);
}

/**
 * The runtime whose rules are obeyed: the one that is named, else the format's where its rules are obeyed unasked; undefined for `none`, and while the
 * output is not known.
 */
export function targetOf({
  target,
  customOperators,
  output,
}: Pick<OptionValues, "target" | "customOperators"> & { readonly output?: string | undefined }): Target | undefined {
  if (target !== undefined) return targetNamed(target, customOperators);
  const usual = output ? DEFAULT_TARGETS[dialectOf(output)] : undefined;
  // Unasked, custom operators are taken for known: the model had them before.
  return usual?.obeyed ? withCustom(usual.target, customOperators ?? ["all"]) : undefined;
}
