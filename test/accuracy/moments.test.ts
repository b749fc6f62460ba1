/** What layers read, held to what LiteRT computes of it: the mean of a layer's result is its weights times the mean of what it reads. */
import { describe, expect, test } from "bun:test";
import { isHeldOut } from "../../src/calibration/moments/moments.ts";
import { biasOf, CASES, modelOf, outputsOf, randomFloats, readOf, resultOf, sizeOf } from "./support.ts";

const RECORDS = 3;

for (const [name, each] of Object.entries(CASES)) {
  const weights = randomFloats(sizeOf(each.weights), 5);
  const of = modelOf(each, weights);
  const records = Array.from({ length: RECORDS }, (_, i) =>
    randomFloats(sizeOf(each.input), 100 + i).map((value) => value + 0.5),
  );
  const channels = each.output.at(-1)!;
  const bias = biasOf(channels);

  describe(name, () => {
    test("weights times the mean is the mean of the result", async () => {
      const results = await outputsOf(of, records);
      const { layer, moments, close } = await readOf(of, records);
      const positions = results[0]!.length / channels;
      const mean = Array.from({ length: channels }, (_, c) => {
        let sum = 0;
        for (const result of results) for (let p = 0; p < positions; p++) sum += result[p * channels + c]!;
        return sum / (positions * RECORDS);
      });
      const computed = resultOf(layer, weights, moments.mean()!);
      for (let c = 0; c < channels; c++) expect(computed[c]! + bias[c]!).toBeCloseTo(mean[c]!, 5);
      close();
    });

    test("weights times each vector is the result at its position", async () => {
      const results = await outputsOf(of, records.slice(0, 1));
      const { layer, moments, close } = await readOf(of, records.slice(0, 1), { vectors: 1e6 });
      const vectors = moments.vectors();
      const positions = results[0]!.length / channels;
      expect(moments.vectorCount).toBe(positions);
      for (let p = 0; p < positions; p++) {
        const computed = resultOf(layer, weights, vectors, p * moments.length);
        for (let c = 0; c < channels; c++)
          expect(computed[c]! + bias[c]!).toBeCloseTo(results[0]![p * channels + c]!, 4);
      }
      close();
    });
  });
}

test("the same bytes with any number of workers; vectors that are chosen are some of all", async () => {
  const each = CASES["3×3 same"]!;
  const of = modelOf(each, randomFloats(sizeOf(each.weights), 5));
  const records = Array.from({ length: 9 }, (_, i) => randomFloats(sizeOf(each.input), 10 * i + 1));
  const [one, three] = [
    await readOf(of, records, { vectors: 5, workers: 1 }),
    await readOf(of, records, { vectors: 5, workers: 3 }),
  ];
  expect(three.moments.mean()).toEqual(one.moments.mean());
  expect(three.moments.groupMeans("held")).toEqual(one.moments.groupMeans("held"));
  expect(three.moments.vectors()).toEqual(one.moments.vectors());
  // Of the records that are not held out.
  expect(one.moments.vectorCount).toBe(7 * 5);
  const every = await readOf(of, records, { vectors: 1e6 });
  const rows = (values: Float32Array, length: number) =>
    new Set(
      Array.from({ length: values.length / length }, (_, i) => values.slice(i * length, (i + 1) * length).join()),
    );
  const known = rows(every.moments.vectors(), every.moments.length);
  const chosen = rows(one.moments.vectors(), one.moments.length);
  expect(chosen.size).toBe(7 * 5);
  expect([...chosen].filter((row) => !known.has(row))).toEqual([]);
  for (const { close } of [one, three, every]) close();
});

test("a quarter of the records is held out, at least two; none of fewer than four", () => {
  const held = (records: number) => Array.from({ length: records }, (_, i) => i).filter((i) => isHeldOut(i, records));
  expect(held(3)).toEqual([]);
  expect(held(4)).toEqual([1, 3]);
  expect(held(7)).toEqual([1, 3]);
  expect(held(8)).toEqual([3, 7]);
  expect(held(16)).toEqual([3, 7, 11, 15]);
});
