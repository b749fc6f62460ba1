/**
 * Models that leave sizes to the data. Expected values are counted by hand (the sum of L ones is L); those of the case folders come from
 * ai-edge-litert 2.1, resized to each sample, without XNNPACK.
 */
import { describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { inputSpecs, openDataSet, withShapes } from "../../src/calibration/index.ts";
import type { GivenShape } from "../../src/calibration/inputs.ts";
import { openModel } from "../../src/model/index.ts";
import { GraphBuilder, ModelBuilder } from "./models.ts";
import { all, file, floats, folder, messageOf, npy, ranges, shared } from "./support.ts";

/** `y = sum of x`, of a length that the model leaves open. */
function summing(signature: number[]) {
  const builder = new ModelBuilder();
  const shape = signature.map((dim) => Math.max(1, dim));
  const axes = Int32Array.from(shape.keys());
  return builder.model(
    new GraphBuilder(builder)
      .tensor("x", shape, "FLOAT32", { shapeSignature: Int32Array.from(signature) })
      .constant("axes", [axes.length], axes)
      .tensor("y", [])
      .operator("SUM", ["x", "axes"], ["y"], { type: "ReducerOptions", value: {} })
      .graph(["x"], ["y"]),
  );
}

const ones = (count: number) => floats(...new Array(count).fill(1));
const open = (model: ReturnType<typeof summing>, location: string, given: GivenShape[] = []) =>
  openDataSet(location, withShapes(inputSpecs(model), given));

describe("sizes come from the data", () => {
  test.each<{ signature: number[]; shape: number[]; sum: number; count: number }>([
    { signature: [-1, -1], shape: [4, 1, 50], sum: 50, count: 4 },
    { signature: [-1, -1], shape: [4, 50], sum: 50, count: 4 },
    { signature: [1, -1, -1, 3], shape: [2, 1, 5, 7, 3], sum: 105, count: 2 },
    { signature: [1, -1, -1, 3], shape: [1, 5, 7, 3], sum: 105, count: 1 },
    { signature: [-1], shape: [50], sum: 50, count: 1 },
    { signature: [-1], shape: [2, 50], sum: 50, count: 2 },
  ])("$signature with an array of $shape", async ({ signature, shape, sum, count }) => {
    const model = summing(signature);
    const values = ones(shape.reduce((product, dim) => product * dim, 1));
    for (const name of ["a.npy"]) {
      const data = await open(model, file(folder(), name, npy("<f4", shape, values)));
      expect(data.count).toBe(count);
      expect((await ranges(model, data)).y).toEqual([sum, sum]);
    }
  });

  test.each(["npy", "raw"])("samples of different sizes in a folder (%s), with any number of workers", async (kind) => {
    const model = summing([1, -1, 3]);
    const where = folder();
    for (const [i, length] of [5, 2, 9, 2].entries()) {
      const values = ones(3 * length);
      file(where, `${i}.${kind}`, kind === "npy" ? npy("<f4", [1, length, 3], values) : values);
    }
    for (const workers of [1, 3])
      expect((await ranges(model, await open(model, where), { workers })).y).toEqual([6, 27]);
  });

  test("a given shape counts for raw files and made-up samples", async () => {
    const model = summing([1, -1, -1, 3]);
    const where = folder();
    file(where, "0.raw", ones(4 * 5 * 3));
    expect(await messageOf(() => open(model, where))).toContain(
      'its bytes do not tell the size of model input "x" (FLOAT32 [1, ?, ?, 3]); give it by --input-shape',
    );
    const given = [{ name: "x", shape: [1, 4, 5, 3] }];
    expect((await ranges(model, await open(model, where, given))).y).toEqual([60, 60]);
    const [record] = await all(await open(model, "random:1", given));
    expect(record![0]!.length).toBe(4 * 4 * 5 * 3);
  });

  test("what does not fit is refused", async () => {
    const model = summing([1, -1, 3]);
    const array = file(folder(), "a.npy", npy("<f4", [2, 1, 5, 4], ones(40)));
    expect(await messageOf(() => open(model, array))).toContain("wants [N, 1, ?, 3] or [N, ?, 3]");
    const given = [
      { name: "x", shape: [1, 5, 4] },
      { name: "z", shape: [1] },
    ];
    expect(await messageOf(() => open(model, "random:1", given))).toBe(
      '--input-shape: [1, 5, 4] does not fit input "x", which is [1, ?, 3]; --input-shape: the model has no input "z"; its inputs are "x"',
    );
  });
});

describe("case folders", () => {
  const CASES = [
    {
      path: "06-dynamic-height-width-length/dyn_same.tflite",
      sizes: [
        [1, 8, 9, 3],
        [1, 20, 5, 3],
      ],
      truth: [-0.7332544326782227, 0.4898171126842499],
    },
    {
      path: "29-input-size/melspectrogram.tflite",
      sizes: [
        [1, 1280],
        [1, 2000],
      ],
      truth: [-60.08358383178711, 19.91642189025879],
    },
  ];
  for (const { path, sizes, truth } of CASES) {
    const place = shared(`cases/${path}`);
    test.skipIf(!place)(path, async () => {
      const where = folder();
      mkdirSync(where, { recursive: true });
      for (const [i, shape] of sizes.entries()) {
        const count = shape.reduce((product, dim) => product * dim, 1);
        file(
          where,
          `${i}.npy`,
          npy("<f4", shape, floats(...Array.from({ length: count }, (_, i) => (i % 17) / 8 - 1))),
        );
      }
      const { model, close } = openModel(place!);
      try {
        const output = model.subgraphs![0]!.tensors![model.subgraphs![0]!.outputs![0]!]!.name!;
        const [min, max] = (await ranges(model, await open(model, where)))[output]!;
        expect(min).toBeCloseTo(truth[0]!, 3);
        expect(max).toBeCloseTo(truth[1]!, 3);
      } finally {
        close();
      }
    });
  }

  const hw = shared("cases/06-dynamic-height-width-length");
  test.skipIf(!hw)("dyn_hw with its samples", async () => {
    const { model, close } = openModel(join(hw!, "dyn_hw.tflite"));
    try {
      const [min, max] = (await ranges(model, await open(model, join(hw!, "hw16.npy"))))[
        "StatefulPartitionedCall_1:0"
      ]!;
      expect(min).toBeCloseTo(-0.1778140813112259, 5);
      expect(max).toBeCloseTo(0.1942363679409027, 5);
    } finally {
      close();
    }
  });
});
