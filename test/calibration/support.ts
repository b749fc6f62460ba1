/** Helpers of the calibration tests. */
import { existsSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MinmaxqError } from "../../src/base/errors.ts";
import { type DataSet, type RecordedRange, type RecordOptions, recordRanges } from "../../src/calibration/index.ts";
import type { InputSpec } from "../../src/calibration/inputs.ts";
import { instrument } from "../../src/calibration/instrument.ts";
import { compileLibrary, openInstance } from "../../src/calibration/litert.ts";
import { sharedBytes } from "../../src/calibration/stepwise/run.ts";
import { Stepwise } from "../../src/calibration/stepwise/stepwise.ts";
import type { Model } from "../../src/model/index.ts";

/** A fresh folder. */
export function folder(): string {
  return mkdtempSync(join(tmpdir(), "minmaxq-calibration-"));
}

/** Writes a file into `where`; gives its path. */
export function file(where: string, name: string, bytes: Uint8Array | string): string {
  const path = join(where, name);
  writeFileSync(path, bytes);
  return path;
}

export function spec(name: string, dtype: string, shape: number[]): InputSpec {
  return { name, dtype, shape };
}

export function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength).slice();
}

export function floats(...values: number[]): Uint8Array {
  return bytesOf(Float32Array.from(values));
}

/** An `.npy` file made by hand, after numpy/lib/format.py. */
export function npy(
  descr: string,
  shape: number[],
  data: Uint8Array,
  options: { fortran?: boolean; major?: number } = {},
): Uint8Array {
  const { fortran = false, major = 1 } = options;
  const dims = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const lengthBytes = major === 1 ? 2 : 4;
  const quoted = descr.startsWith("[") ? descr : `'${descr}'`;
  let header = `{'descr': ${quoted}, 'fortran_order': ${fortran ? "True" : "False"}, 'shape': (${dims}), }`;
  header = `${header.padEnd(64 * Math.ceil((header.length + 9 + lengthBytes) / 64) - 9 - lengthBytes)}\n`;
  const start = [0x93, ...Buffer.from("NUMPY"), major, 0];
  const length = Array.from({ length: lengthBytes }, (_, i) => (header.length >> (8 * i)) & 255);
  return Uint8Array.from([...start, ...length, ...Buffer.from(header), ...data]);
}

export async function all(data: DataSet): Promise<Uint8Array[][]> {
  const records: Uint8Array[][] = [];
  for await (const record of data.records()) records.push(record);
  return records;
}

/** Message of the error that `action` throws. */
export async function messageOf(action: () => unknown): Promise<string> {
  try {
    await action();
  } catch (error) {
    if (error instanceof MinmaxqError) return error.message;
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** Records in memory. */
export function dataOf(...records: Uint8Array[][]): DataSet {
  return {
    description: "data",
    count: records.length,
    async *records() {
      for (const record of records) yield record.map((bytes) => bytes.slice());
    },
    close() {},
  };
}

/** Ranges by name. */
export async function ranges(
  of: Model,
  data: DataSet,
  options: Partial<RecordOptions> = {},
): Promise<Record<string, [number, number]>> {
  const found = await recordRanges(of, data, { reduction: { kind: "minmax" }, workers: 1, ...options });
  return Object.fromEntries([...found.values()].map(({ name, min, max }: RecordedRange) => [name, [min, max]]));
}

const SHARED = join(import.meta.dir, "../../../shared");

/** Path inside the shared folder of goldens; undefined, with a line on the console, when it is not here. */
export function shared(path: string): string | undefined {
  const place = join(SHARED, path);
  if (existsSync(place)) return place;
  console.log(`skipped: ${place} is not here`);
  return undefined;
}

/** The float outputs of a model for one record, run operator by operator. */
export async function outputsOf(model: Model, record: Uint8Array[]): Promise<Float32Array[]> {
  const plan = instrument(model, 0, new Map(), true);
  const steps = new Stepwise(await openInstance(await compileLibrary(false), false), {
    model: await sharedBytes(plan.model, undefined),
    sequence: false,
    room: 1e8,
  });
  const all = await steps.run(record, () => {});
  steps.close();
  return Array.from(model.subgraphs![0]!.outputs!, (tensor) => {
    const { bytes } = all[plan.outputs.findIndex((output) => output.tensor === tensor)]!;
    return new Float32Array(bytes.slice().buffer);
  });
}
