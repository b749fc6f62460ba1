/** Metadata of models, built with the flatbuffers package, slot by slot of metadata_schema.fbs. */
import { Builder } from "flatbuffers";
import { rangeOf } from "../../src/model/bytes.ts";
import type { Model } from "../../src/model/index.ts";

export interface Said {
  readonly mean?: number[];
  readonly std?: number[];
  readonly sound?: { readonly rate: number; readonly channels: number };
  readonly stats?: { readonly min: number[]; readonly max: number[] };
}

function vector(b: Builder, values: readonly number[]): number {
  b.startVector(4, values.length, 4);
  for (const value of values.toReversed()) b.addFloat32(value);
  return b.endVector();
}

function references(b: Builder, tables: readonly number[]): number {
  b.startVector(4, tables.length, 4);
  for (const table of tables.toReversed()) b.addOffset(table);
  return b.endVector();
}

function table(b: Builder, slots: number, fields: Readonly<Record<number, number>>, tag?: number): number {
  b.startObject(slots);
  for (const [slot, at] of Object.entries(fields)) b.addFieldOffset(Number(slot), at, 0);
  if (tag !== undefined) b.addFieldInt8(0, tag, 0);
  return b.endObject();
}

/** A model with metadata of inputs, which says nothing else. */
export function modelWith(...inputs: Said[]): Model {
  const b = new Builder();
  const tensors = inputs.map(({ mean, std, sound, stats }) => {
    const fields: Record<number, number> = {};
    if (mean && std) {
      const normalization = table(b, 2, { 0: vector(b, mean), 1: vector(b, std) });
      fields[4] = references(b, [table(b, 2, { 1: normalization }, 1)]);
    }
    if (sound) {
      // AudioProperties, the fourth of ContentProperties.
      b.startObject(2);
      b.addFieldInt32(0, sound.rate, 0);
      b.addFieldInt32(1, sound.channels, 0);
      fields[3] = table(b, 3, { 1: b.endObject() }, 4);
    }
    if (stats) fields[5] = table(b, 2, { 0: vector(b, stats.max), 1: vector(b, stats.min) });
    return table(b, 7, fields);
  });
  const subgraph = table(b, 4, { 2: references(b, tensors) });
  b.finish(table(b, 8, { 3: references(b, [subgraph]) }), "M001");
  return {
    buffers: [{}, { data: rangeOf(b.asUint8Array().slice()) }],
    metadata: [{ name: "TFLITE_METADATA", buffer: 1 }],
    subgraphs: [{ tensors: inputs.map(() => ({})), inputs: Int32Array.from(inputs.keys()) }],
  };
}
