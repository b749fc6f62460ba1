/** What a model's metadata say about its inputs; the metadata are built with the flatbuffers package, slot by slot of metadata_schema.fbs. */
import { expect, test } from "bun:test";
import { Builder } from "flatbuffers";
import { rangeOf } from "../../src/model/bytes.ts";
import { expectedInputs, type Model, statedInputs } from "../../src/model/index.ts";

interface Said {
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

function modelWith(...inputs: Said[]): Model {
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

test("bytes after mean and std, or else min and max; per input", () => {
  const model = modelWith(
    { mean: [127.5], std: [127.5], stats: { min: [0], max: [255] } },
    { mean: [0, 51], std: [255, 102] },
    { stats: { min: [0], max: [1] } },
    {},
  );
  expect(expectedInputs(model)).toEqual([
    { min: -1, max: 1, by: "the model's metadata (mean 127.5, std 127.5)" },
    { min: -0.5, max: 2, by: "the model's metadata (mean 0/51, std 255/102)" },
    { min: 0, max: 1, by: "the model's metadata (min 0, max 1)" },
    undefined,
  ]);
});

test("the same as numbers to prepare by; scales of integer inputs", () => {
  const model = modelWith(
    { mean: [127.5], std: [127.5], stats: { min: [0], max: [255] } },
    { mean: [0, 51, 3], std: [255, 102, 1] },
    { stats: { min: [0], max: [1] } },
    { sound: { rate: 16000, channels: 1 } },
    {},
  );
  model.subgraphs![0]!.tensors![4]!.quantization = { scale: Float32Array.of(0.5), zeroPoint: BigInt64Array.of(-3n) };
  expect(statedInputs(model)).toEqual([
    { normalization: { mean: [127.5], std: [127.5] } },
    { normalization: { mean: [0, 51, 3], std: [255, 102, 1] } },
    { range: [0, 1] },
    { sound: { rate: 16000, channels: 1 } },
    { quant: { scale: 0.5, zeroPoint: -3 } },
  ]);
  expect(statedInputs({})).toEqual([]);
});

test("no metadata, or damaged ones, say nothing", () => {
  expect(expectedInputs({})).toEqual([]);
  const damaged = modelWith({ mean: [0], std: [1] });
  damaged.buffers![1]!.data = rangeOf(Uint8Array.of(255, 255, 255, 255, 1, 2, 3));
  expect(expectedInputs(damaged)).toEqual([undefined]);
  damaged.subgraphs![0]!.tensors![0]!.quantization = { min: Float32Array.of(0), max: Float32Array.of(2) };
  expect(expectedInputs(damaged)).toMatchObject([{ min: 0, max: 2, recorded: true }]);
});
