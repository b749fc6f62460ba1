/** Hostile models: every command ends soon, in bounded memory, with a result or with one error in our words. */
import { beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type Model, writeModel } from "../../src/model/index.ts";
import { cleanUpAfterwards, folder } from "../cli/support.ts";
import { mkfifoSync } from "./fifo.ts";
import * as hostile from "./hostile-models.ts";
import { harm, run } from "./support.ts";

cleanUpAfterwards();

const cwd = folder();
const NAN = { scale: Float32Array.of(Number.NaN), zeroPoint: BigInt64Array.of(0n) };
const MODELS: Readonly<Record<string, () => Model>> = {
  "chain.tflite": () => hostile.chain(10_000),
  "cycle.circle": hostile.cycle,
  "cycle.tflite": hostile.cycle,
  "own-result.tflite": hostile.ownResult,
  "yielded-twice.circle": hostile.yieldedTwice,
  ...Object.fromEntries(Object.entries(hostile.RECURSIVE).map(([kind, make]) => [`recursive-${kind}.tflite`, make])),
  "huge.tflite": () => hostile.hugeShapes([65536, 65536, 16]),
  "overflowing.tflite": () => hostile.hugeShapes(Array.from({ length: 60 }, () => 2 ** 31 - 1)),
  "filled.tflite": () => hostile.filled(50_000),
  "sparse.tflite": () => hostile.sparse(50_000, 50_000),
  "nan-scale.circle": () => hostile.parameters(NAN),
  "two-scales.circle": () =>
    hostile.parameters({ scale: Float32Array.of(0.1, 0.2), zeroPoint: new BigInt64Array(0), quantizedDimension: 99 }),
  "no-scale.circle": () =>
    hostile.parameters({ scale: new Float32Array(0), zeroPoint: BigInt64Array.of(1n << 62n), quantizedDimension: -5 }),
  "empty.tflite": () => ({ version: 3 }),
  "empty.circle": () => ({ subgraphs: [{}], operatorCodes: [], buffers: [] }),
};

const dialectOf = (name: string) => (name.endsWith(".circle") ? "circle" : "tflite");

beforeAll(async () => {
  for (const [name, make] of Object.entries(MODELS))
    await writeModel(make(), join(cwd, name), { dialect: dialectOf(name) });
});

const COMMANDS = [
  "inspect FILE --tensors",
  "verify FILE",
  "check FILE --target litert",
  "explain FILE y",
  "convert FILE -o out.circle",
  "dequantize FILE -o out.tflite",
  "quantize FILE -o out.circle",
  "quantize FILE --scheme dynamic-int8 -o out.tflite",
  "quantize FILE --data random:1 -o out.tflite",
  "compare FILE FILE --data random:1",
];

/** Bytes that a run of these small files may have: LiteRT's own memory is the most of it. */
const MOST = 900e6;

for (const name of Object.keys(MODELS))
  test(name, async () => {
    for (const command of COMMANDS) {
      const ended = await run(command.replaceAll("FILE", name).split(" "), cwd);
      expect([command, harm(ended)]).toEqual([command, undefined]);
      expect(ended.peak).toBeLessThan(MOST);
    }
  }, 300_000);

test("loops that never end are given up", async () => {
  await writeModel(hostile.endless(), join(cwd, "endless.tflite"), { dialect: "tflite" });
  const ended = await run(["quantize", "endless.tflite", "--data", "random:1", "-o", "out.tflite"], cwd);
  expect([ended.code, ended.err]).toEqual([1, expect.stringContaining("has not ended after 100000 rounds")]);
  // Each subgraph calls the next one twice: 2^30 calls, and no loop at all.
  await writeModel(hostile.doubling(30), join(cwd, "doubling.tflite"), { dialect: "tflite" });
  const doubled = await run(
    ["quantize", "doubling.tflite", "--data", "random:1", "--target", "none", "-o", "out.tflite"],
    cwd,
  );
  expect([doubled.code, doubled.err]).toEqual([1, expect.stringContaining("has not ended after 100000 rounds")]);
}, 120_000);

test("constants that stand for more than a file can mean are refused before they are expanded", async () => {
  const sparse = await run(["quantize", "sparse.tflite", "-o", "out.circle"], cwd);
  expect([sparse.code, sparse.err]).toEqual([1, expect.stringContaining("more than 100 times the file")]);
  expect(sparse.peak).toBeLessThan(150e6);
  // One buffer of 64 KiB under 20,000 tensors.
  const shared: Model = hostile.chain(1);
  const made = { ...shared, buffers: [{}, (hostile.named("x").buffers ?? [])[1]!] };
  const big = new Uint8Array(65536);
  const { rangeOf } = await import("../../src/model/bytes.ts");
  made.buffers[1] = { data: rangeOf(big) };
  for (let i = 0; i < 20_000; i++)
    made.subgraphs![0]!.tensors!.push({ name: `s${i}`, shape: Int32Array.of(16384), type: 0, buffer: 1 });
  await writeModel(made, join(cwd, "shared.tflite"), { dialect: "tflite" });
  const ended = await run(["inspect", "shared.tflite"], cwd);
  expect([ended.code, ended.err]).toEqual([1, expect.stringContaining("more than 100 times the file")]);
});

describe("pipes and devices in the place of files are not waited for", () => {
  test("models and samples", async () => {
    mkfifoSync(join(cwd, "pipe.tflite"));
    for (const ending of ["npy", "npz", "h5", "txt", "png", "raw"]) mkfifoSync(join(cwd, `pipe.${ending}`));
    const lines = [
      ["inspect", "pipe.tflite"],
      ["quantize", "pipe.tflite", "--data", "random:1", "-o", "out.tflite"],
      ...["npy", "npz", "h5", "txt", "png", "raw"].map((ending) => [
        ...["quantize", "own-result.tflite", "--data", `pipe.${ending}`, "-o", "out.tflite"],
      ]),
      ["inspect", "/dev/zero"],
      ["quantize", "own-result.tflite", "--data", "/dev/zero", "-o", "out.tflite"],
      ["batch", "/dev/zero"],
    ];
    for (const line of lines) {
      const ended = await run(line, cwd);
      expect([line.join(" "), harm(ended, [1, 2])]).toEqual([line.join(" "), undefined]);
      expect(ended.peak).toBeLessThan(500e6);
    }
  }, 120_000);
});
