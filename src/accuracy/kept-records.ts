/** Some of the samples, kept while they are recorded, so that steps can be tried on them without reading the data once more. */
import type { DataSet } from "../calibration/index.ts";
import type { Shapes } from "../calibration/inputs.ts";
import { isHeldOut, isJudge } from "../calibration/moments/moments.ts";

/** The first records of a set of samples, and so many that are held out. */
export const FIRST = 16;
const MOST_HELD = 16;
/** Bytes of all that is kept; what is beyond is left out. */
const MOST_BYTES = 256e6;

export interface KeptRecord {
  readonly record: number;
  readonly held: boolean;
  /** Steps are tried on it. */
  readonly judges: boolean;
  readonly inputs: readonly Uint8Array[];
  readonly shapes: Shapes | undefined;
}

export class KeptRecords {
  private readonly runs = new Map<number, Map<number, KeptRecord>>();
  private bytes = 0;
  private readonly most: number;

  /** `memoryLimit`: bytes that the process may have. */
  constructor(memoryLimit = Number.POSITIVE_INFINITY) {
    this.most = Math.min(MOST_BYTES, memoryLimit / 8);
  }

  /** Bytes of what is kept. */
  get inMemory(): number {
    return this.bytes;
  }

  /** Bytes of so many records of so many bytes each, at most. */
  heldBytes(records: number, bytes: number): number {
    return Math.min(this.most, bytes * Math.min(records, FIRST + MOST_HELD));
  }

  /** The data set `run`, looked at while it is read. */
  watch(run: number, data: DataSet): DataSet {
    const keep = (record: number, inputs: readonly Uint8Array[]) => this.keep(run, record, inputs, data);
    return {
      ...data,
      records: async function* () {
        let record = 0;
        for await (const inputs of data.records()) {
          keep(record++, inputs);
          yield inputs;
        }
      },
      close: () => data.close(),
    };
  }

  /** Of a set of samples, in their order. */
  of(run: number): KeptRecord[] {
    return [...(this.runs.get(run)?.values() ?? [])].sort((a, b) => a.record - b.record);
  }

  private keep(run: number, record: number, inputs: readonly Uint8Array[], data: DataSet): void {
    const kept = this.runs.get(run) ?? new Map<number, KeptRecord>();
    this.runs.set(run, kept);
    const held = isHeldOut(record, data.count);
    const others = [...kept.values()].filter((each) => each.held).length;
    const size = inputs.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const wanted = record < FIRST || (held && others < MOST_HELD);
    if (!wanted || kept.has(record) || this.bytes + size > this.most) return;
    this.bytes += size;
    kept.set(record, {
      ...{ record, held, judges: isJudge(record, data.count) },
      inputs: inputs.map((each) => each.slice()),
      shapes: data.shapes?.(record),
    });
  }
}

/** Kept records as a data set. */
export function dataOf(kept: readonly KeptRecord[], description: string): DataSet {
  const shaped = kept.some(({ shapes }) => shapes !== undefined);
  return {
    description,
    count: kept.length,
    ...(shaped && { shapes: (record: number) => kept[record]!.shapes }),
    async *records() {
      // They are given away.
      for (const { inputs } of kept) yield inputs.map((each) => each.slice());
    },
    close() {},
  } as DataSet;
}
