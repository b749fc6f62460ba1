/** What a person asks for, held against what a target takes; told before any work is done. */
import { Problems, UsageError } from "../../base/errors.ts";
import type { Dtype } from "../../graph/graph.ts";
import type { Dialect } from "../../model/index.ts";
import { isActivationDtype } from "../../rules/dtypes.ts";
import type { Target } from "../../rules/targets.ts";
import type { Context } from "../context.ts";

/** Refuses dtypes of activations, inputs and outputs that the target does not take. */
export function checkTargetOptions(
  target: Target,
  activations: Dtype,
  inputs: readonly Dtype[] = [],
  outputs: readonly Dtype[] = [],
): void {
  const asked = [
    { flag: "--dtype", dtypes: [activations] },
    { flag: "--input-dtype", dtypes: inputs },
    { flag: "--output-dtype", dtypes: outputs },
  ];
  for (const { flag, dtypes } of asked) {
    const other = dtypes.find((each) => isActivationDtype(each) && !target.activations.includes(each));
    if (other) throw new UsageError(`${flag} ${other.toLowerCase()}: not for ${target.runtime}; ${target.otherwise}`);
  }
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
    if (!setting || target.activations.includes(setting.scheme.activation.dtype)) continue;
    problems.add(`layer "${node.name}" as ${setting.scheme.name}: not for ${target.runtime}; ${target.otherwise}`);
  }
  problems.throwIfAny(`layer settings that are not for --target ${target.name}`);
}

/** Refuses a dtype of weights alone that no operator of the target takes. */
export function checkTargetWeights(target: Target | undefined, { dtype }: { readonly dtype: Dtype }): void {
  if (!target) return;
  const taken = new Set(Object.values(target.operators).flatMap(({ weightsAlone }) => weightsAlone?.dtypes ?? []));
  if (taken.has(dtype)) return;
  const known = [...taken].map((each) => each.toLowerCase()).join(" or ");
  throw new UsageError(
    `--weight-dtype ${dtype.toLowerCase()}: not for ${target.runtime}, which takes ${known} weights with float activations`,
  );
}
