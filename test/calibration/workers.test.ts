/** Recording on workers: nothing may depend on how many there are. */

import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { inputSpecs, openDataSet, recordRanges, recordSamples } from "../../src/calibration/index.ts";
import { openModel } from "../../src/model/index.ts";
import { QUANTIZERS } from "../../src/rules/schemes.ts";
import { model } from "./models.ts";
import { bytesOf, dataOf, ranges } from "./support.ts";
import { binWidth, draw, normal, percentile, valuesThatCount } from "./value-oracle.ts";

describe("a real model", () => {
  const path = join(import.meta.dir, "../../node_modules/@mediapipe/face_detection/face_detection_short_range.tflite");

  test("every mode: one, two and three workers give the same ranges", async () => {
    const opened = openModel(path);
    const data = await openDataSet("random:4:7", inputSpecs(opened.model));
    for (const reduction of [
      { kind: "percentile", min: 10, max: 90 },
      { kind: "moving_average", batch: 2, constant: 0.1 },
      { kind: "minmax" },
      { kind: "percentile_all", min: 0.01, max: 99.99 },
      { kind: "entropy", quantizer: QUANTIZERS.uint8 },
      { kind: "mse", quantizer: QUANTIZERS.uint8 },
      { kind: "mse", quantizer: QUANTIZERS.int16 },
    ] as const) {
      const one = await recordRanges(opened.model, data, { reduction, workers: 1 });
      expect(one.size).toBeGreaterThan(80);
      for (const { min, max } of one.values()) expect(min).toBeLessThanOrEqual(max);
      for (const workers of reduction.kind === "entropy" ? [2, 3] : [2])
        expect(await recordRanges(opened.model, data, { reduction, workers })).toEqual(one);
    }
    opened.close();
  }, 60_000);

  test("one and two workers give the same bits; every record is reported", async () => {
    const opened = openModel(path);
    const data = await openDataSet("random:5:1", inputSpecs(opened.model));
    const progress: string[] = [];
    const one = await recordSamples(opened.model, data, {
      workers: 1,
      onProgress: (done, total) => progress.push(`${done}/${total}`),
    });
    const two = await recordSamples(opened.model, data, { workers: 2 });
    expect(progress).toEqual(["1/5", "2/5", "3/5", "4/5", "5/5"]);
    expect(one.length).toBeGreaterThan(80);
    expect(two).toEqual(one);
    const fast = await recordSamples(opened.model, data, { workers: 1, fastMath: true });
    for (const [i, { mins, maxs }] of fast.entries()) {
      const width = Math.max(...maxs) - Math.min(...mins);
      for (const r of mins.keys()) expect(Math.abs(mins[r]! - one[i]!.mins[r]!)).toBeLessThanOrEqual(1e-4 * width);
    }
    opened.close();
  });
});

test("values of all records, streamed, against all values kept", async () => {
  const of = model(["x"], ["y"], (graph) => graph.tensor("x", [500]).tensor("y", [500]).operator("RELU", ["x"], ["y"]));
  const records = Array.from({ length: 40 }, (_, seed) => draw(500, seed, normal));
  const kept = valuesThatCount(Float32Array.from(records.flatMap((record) => [...record])));
  const positive = kept.map((value) => Math.max(0, value));
  const found = await ranges(of, dataOf(...records.map((record) => [bytesOf(record)])), {
    reduction: { kind: "percentile_all", min: 1, max: 99.5 },
    workers: 2,
  });
  for (const [name, values] of [
    ["x", kept],
    ["y", positive],
  ] as const) {
    for (const [end, p] of [
      [0, 1],
      [1, 99.5],
    ] as const) {
      const { value, neighbours } = percentile(values, p);
      const allowed = Math.max(...neighbours.map(binWidth));
      expect(Math.abs(found[name]![end]! - value)).toBeLessThanOrEqual(allowed);
    }
  }
});
