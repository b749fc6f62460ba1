/**
 * Beginning a large output while passes still decide: filters, which are nearly all of a model's bytes, are known at once, and so are
 * their places in the file behind room for the tables (src/weights/fill.ts, src/model/layout.ts).
 *
 *     tables, at most so many bytes | filters, in the order of their operators | everything else
 *
 * Which places are planned depends on the model and the options alone. Whether a Worker fills them before the passes are done depends on
 * whether one is up; if not, they are filled with everything else, and the file is the same.
 */

import { timed } from "../base/timings.ts";
import type { Graph } from "../graph/graph.ts";
import { FLATBUFFER_LIMIT, type OpenedModel, OutputFile, planContents } from "../model/index.ts";
import type { Context, Workspace } from "../passes/context.ts";
import { expectedFilters } from "../passes/minmax/quantize-weights.ts";
import type { Constant } from "../weights/constant.ts";
import type { WeightStream } from "../weights/fill.ts";
import { bytesRead, fillingOf } from "../weights/tasks.ts";
import { shareable, WORTH_A_WORKER } from "../weights/threads.ts";

/** Bytes of the tables for a channel of a filter and its bias: a scale and a zero point each. */
const CHANNEL = 24;
/** What an input has beside its contents where it is tables and nothing else: so many bytes, and a share of the contents. */
const SOME_TABLES = 256 << 10;
const TABLE_SHARE = 1 / 256;
/** What room for tables has over an estimate, bytes. */
const SPARE = 64 << 10;
/** Room is made in pages of the system. */
const PAGE = 4096;

/** What becomes of a graph's filters, by the descriptions that passes will find; `tables`: bytes that the tables grow by, beside its scales. */
export type Expecting = (
  graph: Graph,
  context: Context,
) => { name: string; constant: Constant; scales: number; tables?: number }[];

/**
 * Plans the output of a workspace before its passes, where its filters are large enough (`space.begun`), and gives the filters to the
 * stream's Worker. Call the function that it returns when the output is written or given up: it removes what is under way.
 */
export function begin(
  space: Workspace,
  graphs: readonly Graph[],
  path: string,
  stream: WeightStream,
  expected: Expecting = expectedFilters,
): () => Promise<void> {
  const abandon = async () => {
    space.begun?.file.discard();
    await stream.close();
  };
  try {
    timed("prepare", () => beginWith(space, graphs, path, stream, expected));
  } catch (error) {
    void abandon();
    throw error;
  }
  return abandon;
}

function beginWith(
  space: Workspace,
  graphs: readonly Graph[],
  path: string,
  stream: WeightStream,
  expected: Expecting,
): void {
  const filters = new Map(
    graphs
      .flatMap((graph) => expected(graph, space.context))
      .filter(({ constant }) => constant.count > 0 && shareable(constant))
      .map((filter) => [filter.constant, { ...filter, filling: fillingOf(filter.name, filter.constant, 0) }]),
  );
  const all = [...filters.values()];
  const bytes = bytesRead(all);
  if (bytes < WORTH_A_WORKER) return;
  const apart = all.map(({ filling }) => filling).filter(({ found }) => found);
  if (bytesRead(apart) * 2 > bytes) return void stream.begin("scan", apart);
  if (space.opened.external) return;
  const direct = all.filter(({ filling }) => !filling.found);
  const contents = direct.map(({ constant, name }) => space.contents.of(constant, name));
  const parameters = direct.reduce((sum, { scales, tables = 0 }) => sum + scales * CHANNEL + tables, 0);
  const room = roomForTables(space.opened, parameters);
  if (room === null) return;
  const plan = planContents(contents, room);
  if (plan.end >= FLATBUFFER_LIMIT) return;
  space.begun = { file: new OutputFile(path), plan };
  const fillings = direct.map(({ filling }, i) => ({ ...filling, offset: plan.offsets.get(contents[i]!)! }));
  stream.begin("write", fillings, space.begun.file.temporary);
}

/**
 * Bytes that the tables will hardly need more of: those of the input and a quarter, and `parameters` of channels and the like. Null where the
 * input has so much beside its contents (indices of sparse filters) that room for it would be a waste.
 */
function roomForTables({ model, source, archive }: OpenedModel, parameters: number): number | null {
  // Buffers may share their bytes.
  const lengths = new Map<number, number>();
  for (const { data } of model.buffers ?? []) if (data && "offset" in data) lengths.set(data.offset, data.length);
  const contents = [...lengths.values()].reduce((sum, length) => sum + length, 0);
  const tables = source.size - (archive?.length ?? 0) - contents;
  if (tables < 0 || tables > SOME_TABLES + contents * TABLE_SHARE) return null;
  return Math.ceil((tables * 1.25 + parameters + SPARE) / PAGE) * PAGE;
}
