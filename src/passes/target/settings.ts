/** What a person asks for, held against what a target takes; told before any work is done. */
import { MinmaxqError, Problems, UsageError } from "../../base/errors.ts";
import { activeNodes, type Dtype, type Graph } from "../../graph/graph.ts";
import type { Dialect } from "../../model/index.ts";
import { isActivationDtype } from "../../rules/dtypes.ts";
import { FAMILIES, type SchemeName } from "../../rules/schemes.ts";
import { TARGETS, type Target } from "../../rules/targets.ts";
import type { Context } from "../context.ts";

/** Refuses dtypes of activations (by the option that chose the scheme), inputs and outputs that the target does not take. */
export function checkTargetOptions(
  target: Target,
  activations: Dtype,
  inputs: readonly Dtype[] = [],
  outputs: readonly Dtype[] = [],
  chosenBy: { readonly flag: string; readonly value: string } = { flag: "--dtype", value: activations.toLowerCase() },
): void {
  const asked = [
    { flag: chosenBy.flag, dtypes: [activations], value: chosenBy.value },
    { flag: "--input-dtype", dtypes: inputs },
    { flag: "--output-dtype", dtypes: outputs },
  ];
  for (const { flag, dtypes, value } of asked) {
    const other = dtypes.find((each) => isActivationDtype(each) && !target.activations.includes(each));
    if (other)
      throw new UsageError(`${flag} ${value ?? other.toLowerCase()}: not for ${target.runtime}; ${target.otherwise}`);
  }
}

/**
 * Refuses a scheme that the target has no kernels for, by the operators that would have it: before samples run. `obeyed` by default, it can be
 * left out.
 */
export function checkTargetScheme({ options, graphs }: Context, chosen: readonly Graph[] = graphs): void {
  const { target, scheme, granularity } = options;
  if (!target || target.schemes.includes(scheme.name as SchemeName)) return;
  const counts = new Map<string, number>();
  for (const node of chosen.flatMap(activeNodes))
    if (node.kind === "operator" && !node.float) counts.set(node.op, (counts.get(node.op) ?? 0) + 1);
  if (counts.size === 0) return;
  const operators = [...counts].map(([op, count]) => `${count} ${op}`).join(", ");
  const weights = `weights per ${granularity === "layer" ? "tensor" : granularity}`;
  const elsewhere = Object.values<Target>(TARGETS).find(({ schemes }) => schemes.includes(scheme.name as SchemeName));
  const ways = [
    `--scheme ${target.schemes.join(" or ")}`,
    ...(elsewhere ? [`a .${elsewhere.formats[0]} file for ${elsewhere.runtime}`] : []),
    "--target none for this file all the same",
  ];
  throw new MinmaxqError(
    `${target.runtime} does not run ${scheme.name} of ${FAMILIES[scheme.family]}'s scheme with ${weights} (${operators}); choose ${ways.join(", or ")}`,
    { code: "not-for-target" },
  );
}

/** Refuses a format that the target does not load. */
export function checkTargetFormat(target: Target, dialect: Dialect): void {
  if (target.formats.includes(dialect)) return;
  throw new UsageError(
    `--target ${target.name}: ${target.runtime} does not load .${dialect}; write .${target.formats[0]}`,
  );
}

/** Refuses layer settings that the target does not take, all at once. */
export function checkTargetLayers({ options: { target }, layers, graphs }: Context): void {
  if (!target || layers.size === 0) return;
  const problems = new Problems();
  for (const node of graphs.flatMap((graph) => graph.nodes)) {
    const setting = layers.get(node.name);
    if (!setting || setting.float || target.activations.includes(setting.scheme.activation.dtype)) continue;
    problems.add(`layer "${node.name}" as ${setting.scheme.name}: not for ${target.runtime}; ${target.otherwise}`);
  }
  problems.throwIfAny(`layer settings that are not for --target ${target.name}`);
}

/** Refuses a dtype of weights alone that no operator of the target takes. */
export function checkTargetWeights(target: Target | undefined, { dtype }: { readonly dtype: Dtype }): void {
  if (!target) return;
  const taken = new Set(Object.values(target.operators()).flatMap(({ weightsAlone }) => weightsAlone?.dtypes ?? []));
  if (taken.has(dtype)) return;
  const known = [...taken].map((each) => each.toLowerCase()).join(" or ") || "no quantized";
  throw new UsageError(
    `--weight-dtype ${dtype.toLowerCase()}: not for ${target.runtime}, which takes ${known} weights with float activations`,
  );
}
