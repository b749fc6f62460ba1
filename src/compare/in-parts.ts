/**
 * Comparing models that do not fit into LiteRT's memory, or not into a limit, together: first one model is run, part by part (src/calibration/parts.ts),
 * and what is to be compared of it is kept in memory or files; then the other one, and each of its tensors is compared when it is there.
 *
 *     first model, part 1, 2 …, all records ─▶ its tensors of all records (spill.ts)
 *     second model, part 1, 2 …, all records ─▶ each tensor against the kept one ─▶ sums
 *
 * The numbers are those of both models run together: slices change no bit.
 */
import type { DataSet } from "../calibration/index.ts";
import { compileLibrary } from "../calibration/litert.ts";
import { type Part, planParts } from "../calibration/parts.ts";
import { runRecords } from "../calibration/pool.ts";
import type { Job } from "../calibration/recorder.ts";
import { graphBytes, partFailure, Window } from "../calibration/run.ts";
import { type Slice, sliceModel } from "../calibration/slices.ts";
import { Spill } from "../calibration/spill.ts";
import { fillConstants } from "../weights/fill.ts";
import { PACKED } from "./metrics.ts";
import type { Pair, RunOptions, Sides } from "./run.ts";
import type { Side } from "./side.ts";
import type { Looked, PartJob } from "./worker.ts";

interface Sliced {
  readonly slices: readonly Slice[];
  readonly parts: readonly Part[];
  readonly workers: number;
  readonly spill: Spill;
  bytes(tensor: number): number;
}

/** Runs all records; gives each record's packed sums to `onRecord`, in order. Throws MinmaxqError. */
export async function runPairsInParts(
  sides: Sides,
  pairs: readonly Pair[],
  data: DataSet,
  options: RunOptions & { onRecord(result: Float64Array): void },
): Promise<void> {
  const fastMath = options.fastMath ?? false;
  const library = await compileLibrary(fastMath);
  const [first, second] = sides.map((side, i) =>
    sliced(
      side,
      pairs.map((pair) => pair[i]!.tensor),
      data,
      options,
    ),
  ) as [Sliced, Sliced];
  const total = (first.parts.length + second.parts.length) * data.count;
  let before = 0;
  const partCount = first.parts.length + second.parts.length;
  const progress = (done: number) =>
    options.onProgress?.(before + done, total, `part ${Math.floor(before / data.count) + 1} of ${partCount}`);
  const kept = new Set(pairs.map(([{ tensor }]) => tensor));
  const sums = Array.from({ length: data.count }, () => new Float64Array(pairs.length * PACKED));
  try {
    for (const part of first.parts) {
      const shown = part.slices.flatMap(({ outputs }) => outputs).filter((tensor) => kept.has(tensor));
      const writes = [...new Set([...part.writes, ...shown])];
      const chain = chainOf(part, first, sides[0], writes);
      const job: Job = { chain, library, fastMath, observer: "minmax", observed: [], settle: false };
      await runRecords(
        job,
        data,
        { ...poolOptions(first, part), onProgress: progress, onResult: () => {} },
        (failure) => `${sides[0].name}: ${partFailure(failure, part.slices, data, (tensor) => `tensor ${tensor}`)}`,
      );
      dropUnread(first, part, kept);
      before += data.count;
    }
    for (const [number, part] of second.parts.entries()) {
      const outputs = new Set(part.slices.flatMap(({ outputs }) => outputs));
      const looked = pairs.flatMap(([a, b], pair): Looked[] => {
        const input = sides[1].inputIndex(b.tensor);
        if (input === undefined ? !outputs.has(b.tensor) : number > 0) return [];
        const own = sides[0].inputIndex(a.tensor);
        const from = own === undefined ? { place: first.spill.of(a.tensor) } : { input: own };
        const { integers } = b;
        return [
          {
            pair,
            dtypes: [a.dtype, b.dtype],
            integers,
            first: from,
            second: input === undefined ? b.tensor : { input },
          },
        ];
      });
      const chain = chainOf(part, second, sides[1], part.writes);
      const job: PartJob = { measure: "part", chain, library, fastMath, looked, integerInputs: sides[1].integerInputs };
      await runRecords(
        job,
        data,
        {
          ...poolOptions(second, part),
          worker: "compare",
          onProgress: progress,
          onResult(record, result) {
            for (const [i, { pair }] of looked.entries())
              sums[record]!.set((result as Float64Array).subarray(i * PACKED, (i + 1) * PACKED), pair * PACKED);
          },
        },
        (failure) => `${sides[1].name}: ${partFailure(failure, part.slices, data, (tensor) => `tensor ${tensor}`)}`,
      );
      dropUnread(second, part, new Set());
      before += data.count;
    }
  } finally {
    first.spill.close();
    second.spill.close();
  }
  for (const record of sums) options.onRecord(record);
}

function sliced(side: Side, wanted: readonly number[], data: DataSet, options: RunOptions): Sliced {
  const { plan } = side;
  const graph = plan.model.subgraphs![0]!;
  const shown = new Set(plan.outputs.map(({ tensor }) => tensor));
  const more = [...new Set(wanted)].filter((tensor) => !shown.has(tensor) && side.inputIndex(tensor) === undefined);
  const outputs = [...plan.outputs, ...more.map((tensor) => ({ tensor, name: "", elements: 1, finite: false }))];
  const slices = sliceModel({ ...plan, outputs });
  const bytes = (tensor: number): number => graphBytes(graph, tensor);
  const sizes = { inputs: new Set(graph.inputs ?? []), bytes, records: data.count, observer: 0 };
  const { memoryLimit, workers, cut } = options;
  const bounds = { limit: memoryLimit, workers, everySlice: cut === "always" };
  const { parts, workers: count, spillBytes } = planParts(slices, sizes, bounds);
  // What is kept for the comparison counts as what is passed between parts.
  const room = spillBytes || (memoryLimit === undefined ? KEPT_BYTES : 0);
  return { slices, parts, workers: count, spill: new Spill(data.count, room), bytes };
}

/** Bytes of kept tensors that stay in memory where no limit was given. */
const KEPT_BYTES = 256e6;

function chainOf(part: Part, { spill, bytes }: Sliced, side: Side, writes: readonly number[]) {
  return {
    links: part.slices.map(({ inputs, outputs }) => ({ inputs, outputs })),
    inputs: Array.from(side.plan.model.subgraphs![0]!.inputs ?? []),
    reads: part.reads.map((tensor) => spill.of(tensor)),
    writes: writes.map((tensor) => spill.add(tensor, bytes(tensor))),
  };
}

function poolOptions({ slices, workers }: Sliced, part: Part) {
  const window = new Window(slices);
  return { workers, models: () => window.models(part.slices, fillConstants) };
}

/** Gives back what no later part reads. */
function dropUnread({ parts, spill }: Sliced, part: Part, kept: ReadonlySet<number>): void {
  const later = parts.slice(parts.indexOf(part) + 1);
  for (const tensor of part.reads)
    if (!kept.has(tensor) && !later.some(({ reads }) => reads.includes(tensor))) spill.drop(tensor);
}
