/** What a model's metadata say about its inputs; the metadata are built with the flatbuffers package, slot by slot of metadata_schema.fbs. */
import { expect, test } from "bun:test";
import { rangeOf } from "../../src/model/bytes.ts";
import { expectedInputs, statedInputs } from "../../src/model/index.ts";
import { modelWith } from "./metadata.ts";

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
