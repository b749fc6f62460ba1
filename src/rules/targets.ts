/**
 * TARGETS: what a runtime makes of a quantized model, as data. A target is a row, an operator of it a row of that.
 *
 * Passes, `quantize`, `check` and `verify` read these rows and mention no target and no operator by name. Each has a file in src/rules/targets;
 * docs/targets.md says where its rules come from.
 */
import { namesOf } from "../base/text.ts";
import type { Dialect } from "../model/index.ts";
import { LITERT, LITERT_PORTABLE } from "./targets/litert.ts";
import { EDGETPU, ETHOS_U } from "./targets/npus.ts";
import { ONERT } from "./targets/onert.ts";
import type { Target } from "./targets/target.ts";
import { TFLM } from "./targets/tflm.ts";

export type { Consequence, Limit, Quantity, Target, TargetOperator, WeightGranularity } from "./targets/target.ts";
export { hasKernel, kernelRow, targetRow } from "./targets/target.ts";

export const TARGETS = {
  litert: LITERT,
  "litert-portable": LITERT_PORTABLE,
  tflm: TFLM,
  "ethos-u": ETHOS_U,
  edgetpu: EDGETPU,
  onert: ONERT,
} as const satisfies Record<string, Target>;

/** Names that `--target` takes where a file is held to one. */
export const TARGET_NAMES = namesOf(TARGETS);

/** Likewise where one is written: `none` is a file for whatever runs it. */
export const TARGET_NAMES_OR_NONE = { ...TARGET_NAMES, none: "none" } as const;

export type TargetName = keyof typeof TARGET_NAMES_OR_NONE;

/** The row of a name that was checked already; undefined without one, and for `none`. `custom`: operators that the runtime is said to have beside its own. */
export function targetNamed(name: TargetName | undefined, custom?: readonly string[]): Target | undefined {
  return name && name !== "none" ? withCustom(TARGETS[name], custom) : undefined;
}

/** The target with custom operators; `all` is every one. */
export function withCustom(target: Target, custom: readonly string[] | undefined): Target {
  if (!custom) return target;
  // An NPU takes none: they are its host's.
  if (target.host) return { ...target, host: withCustom(target.host, custom) };
  return { ...target, custom: custom.includes("all") ? "all" : custom };
}

/**
 * The runtime that files of a format are for, where a person names none. Its rules are obeyed, or only told: ONE's quantizer makes files that
 * ONE's own runtime does not compute rightly, and such a file has to stay what it is.
 */
export const DEFAULT_TARGETS: Readonly<Record<Dialect, { readonly target: Target; readonly obeyed: boolean }>> = {
  circle: { target: ONERT, obeyed: false },
  tflite: { target: LITERT, obeyed: true },
};
