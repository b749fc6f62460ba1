/** The end of a flow: graphs → tables → file. */
import { collectBeforeStream } from "../base/optimizer.ts";
import { timed } from "../base/timings.ts";
import { withRuntimeVersion } from "../graph/runtime-version.ts";
import type { Dialect, Fill, Model, OpenedModel, WriteOptions } from "../model/index.ts";
import { sizeOfFile, writeModel } from "../model/index.ts";
import type { Workspace } from "../passes/context.ts";
import { exportWorkspace, writtenSubgraphs } from "../passes/workspace.ts";
import { WeightStream } from "../weights/fill.ts";

/**
 * Writes the workspace's model. `check` runs once all weights are known and before the file gets its name. `stream` is that of the
 * run, where it has one: what it has begun is continued. `whole` runs when the file is whole, before it gets its name.
 */
export async function writeWorkspace(
  space: Workspace,
  path: string,
  dialect: Dialect,
  check?: () => void | Promise<void>,
  stream = new WeightStream(),
  whole?: (path: string) => void | Promise<void>,
): Promise<void> {
  const fill: Fill = async (target, placed) => {
    collectBeforeStream();
    await stream.fill(target, placed);
    await check?.();
  };
  await writeAs(modelOf(space, dialect), path, dialect, space.opened, { fill, begun: space.begun, whole });
}

/** The tables as they are written, with contents that have to be computed as descriptions. */
function modelOf(space: Workspace, dialect: Dialect): Model {
  const { model } = timed("write", () => exportWorkspace(space, writtenSubgraphs(space)));
  return space.versioned && dialect === "tflite" ? withRuntimeVersion(model) : model;
}

/** Bytes that the workspace's file would have, as it is. */
export function sizeOfWorkspace(space: Workspace, dialect: Dialect): number {
  const { external, archive } = space.opened;
  return sizeOfFile({ ...modelOf(space, dialect), version: VERSIONS[dialect] }, { dialect, external, archive });
}

/** Writes a model in a format, laid out as `opened` was: weights inside or behind the tables, then the archive it had. */
export async function writeAs(
  model: Model,
  path: string,
  dialect: Dialect,
  { external, archive }: Pick<OpenedModel, "external" | "archive">,
  more: Pick<WriteOptions, "fill" | "begun" | "whole"> = {},
): Promise<void> {
  await writeModel({ ...model, version: VERSIONS[dialect] }, path, { dialect, external, archive, ...more });
}

/** Model.version as the formats' tools write it. */
const VERSIONS: Record<Dialect, number> = { circle: 0, tflite: 3 };
