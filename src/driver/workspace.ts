/**
 * Both ends of a flow: tables → graphs, and graphs → tables → file.
 */
import { MinmaxqError } from "../base/errors.ts";
import { timed } from "../base/timings.ts";
import { type Exported, exportModel } from "../graph/export.ts";
import { importGraph } from "../graph/import.ts";
import { hasProfile, withProfile } from "../graph/profile.ts";
import type { BegunFile, Dialect, Fill, Model, OpenedModel } from "../model/index.ts";
import { writeModel } from "../model/index.ts";
import type { LayerSetting, Note, QuantizeOptions, Workspace } from "../passes/context.ts";
import { prepare } from "../passes/prepare/float-constants.ts";
import { WeightStream } from "../weights/fill.ts";
import { PendingContents } from "../weights/pending.ts";
import { ConstantScanner } from "../weights/scan.ts";

/** Imports and prepares every subgraph; `likeReference` as the drop-in front does it (src/passes/prepare/float-constants.ts). */
export function workspace(opened: OpenedModel, options: QuantizeOptions, likeReference = false): Workspace {
  return timed("prepare", () => prepared(opened, options, likeReference));
}

function prepared(opened: OpenedModel, options: QuantizeOptions, likeReference: boolean): Workspace {
  const graphs = (opened.model.subgraphs ?? []).map((_, index) => importGraph(opened.model, index));
  if (graphs.length === 0)
    throw new MinmaxqError(`${opened.source.name}: has no subgraph; there is nothing to quantize`);
  for (const graph of graphs) prepare(graph, likeReference);
  const layers = new Map<string, LayerSetting>();
  return {
    opened,
    graphs,
    contents: new PendingContents(),
    profile: hasProfile(opened.model),
    context: {
      options,
      layers,
      likeReference,
      graphs,
      scanner: new ConstantScanner(),
      notes: [] as Note[],
      made: new WeakMap(),
    },
  };
}

/** The workspace's graphs as a model; contents that have to be computed are described. */
export function exportWorkspace({ opened, graphs, contents, profile }: Workspace): Exported {
  const exported = exportModel(opened.model, graphs, contents);
  if (!profile) return exported;
  return { ...exported, model: withProfile(opened.model, exported.model, exported.operators[0] ?? []) };
}

/**
 * Writes the workspace's model. `check` runs once all weights are known and before the file gets its name. `stream` is that of the
 * run, where it has one: what it has begun is continued.
 */
export async function writeWorkspace(
  space: Workspace,
  path: string,
  dialect: Dialect,
  check?: () => void | Promise<void>,
  stream = new WeightStream(),
): Promise<void> {
  const fill: Fill = async (target, placed) => {
    await stream.fill(target, placed);
    await check?.();
  };
  const { model } = timed("write", () => exportWorkspace(space));
  await writeAs(model, path, dialect, space.opened.external, fill, space.begun);
}

/** Writes a model in a format. */
export async function writeAs(
  model: Model,
  path: string,
  dialect: Dialect,
  external: boolean,
  fill?: Fill,
  begun?: BegunFile,
): Promise<void> {
  await writeModel({ ...model, version: VERSIONS[dialect] }, path, { dialect, fill, external, begun });
}

/** Model.version as the formats' tools write it. */
const VERSIONS: Record<Dialect, number> = { circle: 0, tflite: 3 };
