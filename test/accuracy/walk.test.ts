/** The walk through a model: what it yields is what LiteRT computes of the whole model, and where values wait between slices does not matter. */
import { describe, expect, test } from "bun:test";
import { walk } from "../../src/accuracy/walk.ts";
import type { WalkedLayer } from "../../src/accuracy/walk-state.ts";
import { bytesOf, dataOf } from "../calibration/support.ts";
import { model } from "../helpers/models.ts";
import { outputsOf, randomFloats } from "./support.ts";

const CONV = { type: "Conv2DOptions", value: { strideH: 1, strideW: 1, padding: 0 } } as const;
const SHAPE = [1, 4, 4, 3];

const two = (a = randomFloats(3, 2)) =>
  model(["x"], ["z"], (graph) =>
    graph
      .tensor("x", SHAPE)
      .tensor("y", SHAPE)
      .tensor("z", SHAPE)
      .constant("w", [3, 1, 1, 3], randomFloats(9, 1))
      .constant("a", [3], a)
      .constant("v", [3, 1, 1, 3], randomFloats(9, 3))
      .constant("b", [3], randomFloats(3, 4))
      .operator("CONV_2D", ["x", "w", "a"], ["y"], CONV)
      .operator("CONV_2D", ["y", "v", "b"], ["z"], CONV),
  );
const records = [5, 6, 7].map((seed) => randomFloats(48, seed));

describe("a walk", () => {
  const numberOf = (name: string) => two().subgraphs![0]!.tensors!.findIndex((tensor) => tensor.name === name);

  // Room for nothing: all values are in files.
  for (const [where, memoryLimit] of [
    ["in memory", undefined],
    ["in files", 8],
  ] as const)
    test(`${where}: a bias that is decided on the way counts for all that comes behind it`, async () => {
      const moved = Float32Array.of(0.5, -1, 2);
      const seen: number[][] = [];
      const layer: WalkedLayer = {
        input: numberOf("x"),
        bias: numberOf("a"),
        taps: { kind: "rows", channels: 3 },
        decide(means) {
          seen.push(...means.map((mean) => [...mean]));
          return moved;
        },
      };
      const [z] = await walk(two(), 0, [layer], dataOf(...records.map((each) => [bytesOf(each)])), {
        wanted: [numberOf("z")],
        memoryLimit,
      });
      for (const [r, values] of records.entries())
        for (let c = 0; c < 3; c++) {
          const own = values.filter((_, i) => i % 3 === c);
          expect(seen[r]![c]!).toBeCloseTo(own.reduce((a, b) => a + b, 0) / own.length, 6);
        }
      const expected = await outputsOf(two(moved), records, "z");
      const found = z!.map((bytes) => new Float32Array(bytes.slice().buffer));
      expect(found.map((each) => [...each])).toEqual(expected.map((each) => [...each]));
    });
});
