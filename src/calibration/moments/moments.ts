/**
 * What operators with weights read over all records: the mean of each tap, by groups of records, so that one knows how much it varies, and the
 * vectors that were taken. Sums are in the order of the records, in float64: the same with any number of Workers.
 */
import { KeptBytes } from "../kept-bytes.ts";
import type { MomentWish } from "./request.ts";
import { type Taps, vectorLength } from "./taps.ts";

/** Records are counted in so many groups, by number: bounded memory, however many there are. A multiple of 4 (`isHeldOut`). */
const GROUPS = 16;

/** Records that set neither ranges nor weights where steps are tried on others: a quarter, at least two; none of fewer than four. */
export function isHeldOut(record: number, records: number): boolean {
  if (records < 4) return false;
  return records < 8 ? record === 1 || record === 3 : record % 4 === 3;
}

/** Fewer records than this say little: of a score in one number a record, two make chance. */
const LEAST_JUDGES = 8;

/**
 * Records that choices are tried on: those that are held out, and others where those are few. On the others nothing is clipped, but what
 * rounding does shows all the same.
 */
export function judges(records: number): number[] {
  return Array.from({ length: records }, (_, record) => record).filter((record) => isJudge(record, records));
}

/** Whether a record is one of `judges`. */
export function isJudge(record: number, records: number): boolean {
  if (records < LEAST_JUDGES || isHeldOut(record, records)) return records >= 4;
  const held = (before: number) => Math.floor(before / 4);
  return record - held(record) < LEAST_JUDGES - held(records);
}

/** Which part of the records is meant: those that fit, those that are held out, or all. */
export type Fold = "fit" | "held" | "all";

interface Group {
  readonly held: boolean;
  count: number;
  /** Of all its vectors. Never changed in place. */
  mean: Float64Array;
}

/** Of one operator. */
export class LayerMoments {
  private readonly groups = new Map<number, Group>();
  private taken: { readonly run: number; readonly rows: number; read(): Uint8Array }[] = [];
  /** Means of the first records of each set of samples, by set and number: as many as are kept for trials. */
  private readonly early = new Map<string, Float64Array>();
  readonly length: number;

  constructor(readonly taps: Taps) {
    this.length = vectorLength(taps);
  }

  /** A record; they come in order. `records`: how many there will be, `run`: which of several sets of samples they are of. */
  add(
    run: number,
    record: number,
    records: number,
    count: number,
    mean: Float64Array,
    vectors: Float32Array,
    kept: KeptBytes,
  ): void {
    const held = isHeldOut(record, records);
    const key = run * GROUPS + (record % GROUPS);
    const group = this.groups.get(key);
    // Most sets of samples are so small that each group is one record: then nothing is added up.
    if (!group) this.groups.set(key, { held, count, mean });
    else {
      const all = group.count + count;
      group.mean = group.mean.map((each, i) => (each * group.count + mean[i]! * count) / all);
      group.count = all;
    }
    if (record < GROUPS) this.early.set(`${run} ${record}`, mean);
    if (held || vectors.length === 0) return;
    const bytes = new Uint8Array(vectors.buffer, vectors.byteOffset, vectors.byteLength);
    this.taken.push({ run, rows: vectors.length / this.length, read: kept.add(bytes) });
  }

  /** Forgets what a set of samples said: it is run once more. */
  forget(run: number): void {
    for (const key of [...this.groups.keys()]) if (Math.floor(key / GROUPS) === run) this.groups.delete(key);
    this.taken = this.taken.filter((each) => each.run !== run);
  }

  /** Vectors are of no use any more; means are. */
  forgetVectors(): void {
    this.taken = [];
  }

  /** The mean of one of the first 16 records of a set of samples. */
  meanOf(run: number, record: number): Float64Array | undefined {
    return this.early.get(`${run} ${record}`);
  }

  /** Means of the groups that have records of a fold, each of `length` values. */
  groupMeans(fold: Fold = "all"): Float64Array[] {
    return this.of(fold).map(({ mean }) => mean);
  }

  /** The mean over a fold; null where none of its records showed the tensor. */
  mean(fold: Fold = "all"): Float64Array | null {
    const groups = this.of(fold);
    const count = groups.reduce((all, each) => all + each.count, 0);
    if (count === 0) return null;
    const mean = new Float64Array(this.length);
    for (const { mean: each, count: n } of groups) for (let i = 0; i < mean.length; i++) mean[i]! += each[i]! * n;
    return mean.map((each) => each / count);
  }

  /** How many vectors were taken. */
  get vectorCount(): number {
    return this.taken.reduce((all, { rows }) => all + rows, 0);
  }

  /** The vectors that were taken, [vectorCount, length]. */
  vectors(): Float32Array<ArrayBuffer> {
    const all = new Float32Array(this.vectorCount * this.length);
    const bytes = new Uint8Array(all.buffer);
    let at = 0;
    for (const { read } of this.taken) {
      const part = read();
      bytes.set(part, at);
      at += part.length;
    }
    return all;
  }

  private of(fold: Fold): Group[] {
    return [...this.groups.values()].filter(
      ({ held, count }) => count > 0 && (fold === "all" || held === (fold === "held")),
    );
  }
}

/** Bytes of vectors that stay in memory, of all operators together; the others lie in a temporary file. */
const ROOM = 128 * 2 ** 20;

/** Of all operators of a model. Close it when they are of no use any more. */
export class Moments {
  private readonly kept: KeptBytes;
  /** Bytes of vectors that stay in memory. */
  private readonly room: number;
  private readonly layers: LayerMoments[] = [];
  private run = 0;
  private records = 0;

  /** `memoryLimit`: bytes that the process may have. */
  constructor(memoryLimit = Number.POSITIVE_INFINITY) {
    this.room = Math.min(ROOM, memoryLimit / 8);
    this.kept = new KeptBytes(this.room, "what layers read");
  }

  /** Bytes of all that is kept in memory, of so many records, at most: vectors, and the means of groups. */
  heldBytes(records: number): number {
    const values = this.layers.reduce((sum, { length }) => sum + length, 0);
    return this.room + 8 * values * Math.min(records, GROUPS);
  }

  /** What is to be gathered for an operator, and where it comes together. `vectors`: how many of each record. */
  wish(subgraph: number, tensor: number, taps: Taps, vectors: number): { wish: MomentWish; layer: LayerMoments } {
    const layer = new LayerMoments(taps);
    this.layers.push(layer);
    const take: MomentWish["take"] = (record, count, mean, some) =>
      layer.add(this.run, record, this.records, count, mean, some, this.kept);
    return { wish: { subgraph, tensor, taps, vectors, take }, layer };
  }

  /** Bytes of vectors that are in memory; those that were forgotten count until all are. */
  get inMemory(): number {
    return this.layers.some(({ vectorCount }) => vectorCount > 0) ? this.kept.inMemory : 0;
  }

  /** A set of samples begins, or begins anew. */
  begin(run: number, records: number): void {
    this.run = run;
    this.records = records;
    for (const layer of this.layers) layer.forget(run);
  }

  close(): void {
    this.kept.close();
  }
}
