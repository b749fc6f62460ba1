/** Both ends of what passes work on: tables → graphs, and graphs → tables. */
import { FileError } from "../base/errors.ts";
import { timed } from "../base/timings.ts";
import { type Exported, exportModel } from "../graph/export.ts";
import { activeNodes } from "../graph/graph.ts";
import { importGraph } from "../graph/import.ts";
import { hasProfile, withProfile } from "../graph/profile.ts";
import { type OpenedModel, subgraphCalls } from "../model/index.ts";
import { RULES_OF } from "../rules/operators.ts";
import { PendingContents } from "../weights/pending.ts";
import { ConstantScanner } from "../weights/scan.ts";
import type { LayerSetting, Note, QuantizeOptions, Workspace } from "./context.ts";
import { expandConstants } from "./prepare/float-constants.ts";
import { shareConstants } from "./share-constants.ts";

/** Imports every subgraph; `likeReference` as the drop-in front does it (src/passes/prepare/float-constants.ts). */
export function workspace(opened: OpenedModel, options: QuantizeOptions, likeReference = false): Workspace {
  return timed("prepare", () => imported(opened, options, likeReference));
}

function imported(opened: OpenedModel, options: QuantizeOptions, likeReference: boolean): Workspace {
  const graphs = (opened.model.subgraphs ?? []).map((_, index) =>
    importGraph(opened.model, index, likeReference ? "one" : RULES_OF[options.scheme.family]),
  );
  if (graphs.length === 0) throw new FileError(opened.source.name, "has no subgraph; there is nothing to quantize");
  for (const graph of graphs) expandConstants(graph, likeReference);
  if (!likeReference) shareConstants(graphs);
  const layers = new Map<string, LayerSetting>();
  return {
    opened,
    graphs,
    inlined: new Set(),
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

/** Numbers of the subgraphs that are written: all but those whose operators now stand in their callers' place and that nothing runs any more. */
export function writtenSubgraphs({ graphs, inlined }: Workspace): Set<number> {
  const written = new Set([...graphs.keys()].filter((index) => !inlined.has(index)));
  if (inlined.size === 0) return written;
  for (const index of written)
    for (const node of activeNodes(graphs[index]!))
      if (node.kind === "operator" && node.operator)
        for (const callee of subgraphCalls(node.operator)) written.add(callee);
  return written;
}

/** The workspace's graphs as a model; contents that have to be computed are described. `written`: without the others, whose numbers go. */
export function exportWorkspace(
  { opened, graphs, contents, profile }: Workspace,
  written?: ReadonlySet<number>,
): Exported {
  const exported = exportModel(opened.model, graphs, contents, written);
  if (!profile) return exported;
  return { ...exported, model: withProfile(opened.model, exported.model, exported.operators[0] ?? []) };
}
