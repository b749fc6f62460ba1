/** Bias correction: what it computes is what LiteRT shows that rounding does to a layer's mean result, and it takes exactly that back. */
import { describe, expect, test } from "bun:test";
import { shiftsOf, shrunkMean } from "../../src/accuracy/bias.ts";
import { rangeOf } from "../../src/model/bytes.ts";
import { channelsAlong, stored } from "../../src/weights/constant.ts";
import { ConstantScanner } from "../../src/weights/scan.ts";
import { bytesOf } from "../calibration/support.ts";
import { CASES, modelOf, outputsOf, randomFloats, readOf, sizeOf } from "./support.ts";

const constantOf = (values: Float32Array) => stored(rangeOf(bytesOf(values)), values.length);

describe("the shift of a layer's mean result that rounded weights make", () => {
  for (const [name, each] of Object.entries(CASES))
    test(name, async () => {
      const weights = randomFloats(sizeOf(each.weights), 9);
      const rounded = weights.map((value) => Math.round(value * 4) / 4);
      const records = [1, 2].map((seed) => randomFloats(sizeOf(each.input), seed).map((value) => value + 0.7));
      const { layer, moments, close } = await readOf(modelOf(each, weights), records);
      const axis = layer.kind.weights === "rows" ? 0 : 3;
      const [shift] = shiftsOf(
        new ConstantScanner(),
        layer,
        { values: constantOf(weights), rounded: constantOf(rounded), layout: channelsAlong(each.weights, axis) },
        [moments.mean()!],
      );
      const before = await outputsOf(modelOf(each, weights), records);
      const after = await outputsOf(modelOf(each, rounded), records);
      const channels = each.output.at(-1)!;
      const measured = new Float64Array(channels);
      const count = (before[0]!.length / channels) * before.length;
      for (const [r, result] of before.entries())
        for (let i = 0; i < result.length; i++) measured[i % channels]! += (after[r]![i]! - result[i]!) / count;
      for (let c = 0; c < channels; c++) expect(shift![c]!).toBeCloseTo(measured[c]!, 5);
      // A test that moves nothing says nothing.
      expect(Math.max(...measured.map(Math.abs))).toBeGreaterThan(0.01);
      close();
    });
});

test("a correction shrinks as it varies between samples: n·m² / (n·m² + v)", () => {
  // m = 2, v = ((1 − 2)² + (3 − 2)²) / 1 = 2: 2 · 8 / (8 + 2).
  expect([...shrunkMean([Float64Array.of(1, 4, 0), Float64Array.of(3, 4, 0)])]).toEqual([1.6, 4, 0]);
  expect([...shrunkMean([Float64Array.of(5)])]).toEqual([5]);
});
