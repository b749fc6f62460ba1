/** Runs two models on the same records, on workers, and looks at pairs of their tensors. */

import { FileError } from "../base/errors.ts";
import { inOrder } from "../base/in-order.ts";
import type { Progress } from "../base/output.ts";
import type { Failure } from "../calibration/failure.ts";
import type { DataSet } from "../calibration/index.ts";
import { byteLength, elementCount } from "../calibration/inputs.ts";
import { compileLibrary } from "../calibration/litert.ts";
import { runRecords } from "../calibration/pool.ts";
import { MODEL_LIMIT, type Side, type Tap } from "./side.ts";
import type { CompareJob, SideJob } from "./worker.ts";

export interface RunOptions {
  /** Number of workers; by default as many as cores, records and memory allow. */
  workers?: number;
  /** Bytes that the process may have resident (in-parts.ts); results do not depend on it. */
  memoryLimit?: number;
  /** Runs the models one after the other, every slice as a part of its own; for tests. */
  cut?: "always";
  /** Records follow each other: models keep their state from one to the next, and one worker runs them. */
  sequence?: boolean;
  fastMath?: boolean;
  onProgress?: Progress;
}

export type Sides = readonly [Side, Side];
/** A tensor of either side. */
export type Pair = readonly [Tap, Tap];

interface Run extends RunOptions {
  readonly measure: CompareJob["measure"];
  readonly dumpPrefix?: string;
  /** Given both sides' inputs in one record, or one list that both are fed. */
  readonly ownInputs: boolean;
  /** Takes each record's result, in record order. */
  onRecord?(result: unknown): void;
}

/** Runs all records; gives what each worker said at its end. Throws MinmaxqError. */
export async function runPairs(sides: Sides, pairs: readonly Pair[], data: DataSet, run: Run): Promise<unknown[]> {
  const { measure, dumpPrefix, fastMath = false } = run;
  for (const { name, stored, stepwise } of sides)
    if (stored > MODEL_LIMIT && !stepwise)
      throw new FileError(
        name,
        `as a float model it has ${stored} bytes of constants; models past ${MODEL_LIMIT} are compared by 'minmaxq compare' alone`,
      );
  const jobs: SideJob[] = [];
  for (const [index, side] of sides.entries()) {
    const count = side.inputs.length;
    const from = index === 1 && run.ownInputs ? sides[0].inputs.length : 0;
    jobs.push({
      ...(await side.show(pairs.map((pair) => pair[index]!))),
      from,
      count,
      integerInputs: side.integerInputs,
    });
  }
  const job: CompareJob = {
    library: await compileLibrary(fastMath),
    fastMath,
    sides: jobs as [SideJob, SideJob],
    sequence: run.sequence ?? false,
    measure,
    dumpPrefix,
  };
  const { onRecord, workers, onProgress } = run;
  const { ends } = await runRecords(
    job,
    data,
    {
      worker: "compare",
      workers: run.sequence ? 1 : workers,
      onProgress,
      workerBytes: bytesOf(sides, pairs, jobs),
      onResult: onRecord && inOrder((_record, result) => onRecord(result)),
    },
    (failure) => explain(sides, data, failure),
  );
  return ends;
}

/** What a worker needs for one record and its models, each twice: XNNPACK packs weights, and arenas are as large as their results. */
function bytesOf(sides: Sides, pairs: readonly Pair[], jobs: readonly SideJob[]): number {
  let bytes = 0;
  for (const side of sides) for (const input of side.inputs) bytes += byteLength(input);
  for (const pair of pairs) for (const { shape } of pair) bytes += 4 * elementCount(shape);
  for (const { model } of jobs) bytes += model?.byteLength ?? 0;
  return 2 * bytes;
}

/** LiteRT's reason with the model's names; its place is that of the side. */
function explain(sides: Sides, data: DataSet, { reason, record, place, step }: Failure): string {
  if (place === undefined) return reason;
  const side = sides[place]!;
  const explained = side.explain(reason, step);
  const ofRecord = record !== undefined && !/failed to prepare|custom op|custom allocation/.test(reason);
  return `${side.name}: ${ofRecord ? `record ${record} of ${data.description}: ` : ""}${explained}`;
}
