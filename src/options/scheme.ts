/** The scheme and the target that options mean: those that are named, else those of the output's format. */
import { dialectOf } from "../driver/paths.ts";
import { DEFAULT_SCHEMES, SCHEMES, type Scheme } from "../rules/schemes.ts";
import { DEFAULT_TARGETS, type Target, targetNamed, withCustom } from "../rules/targets.ts";
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
  return usual?.obeyed ? withCustom(usual.target, customOperators) : undefined;
}
