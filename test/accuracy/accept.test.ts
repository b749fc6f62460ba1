/** The rule by which steps are kept, and what sequential correction decides; small numbers by hand. */
import { describe, expect, test } from "bun:test";
import { errorsOf, isBetter } from "../../src/accuracy/accept.ts";
import { correctionOf } from "../../src/accuracy/sequential.ts";

/** An output of one value in each of several records. */
const output = (...values: number[]) => values.map((value) => Float32Array.of(value));
const errors = (reference: number, ...found: number[]) =>
  errorsOf([output(...found.map(() => reference))], [output(...found)])[0]!;

describe("what outputs are off by", () => {
  test("10·log10 of signal by noise over all records of an output", () => {
    const reference = [[Float32Array.of(3, 4), Float32Array.of(0, 5)]];
    const found = [[Float32Array.of(3, 3), Float32Array.of(2, 5)]];
    // (9 + 16 + 0 + 25) / (1 + 4).
    expect(errorsOf(reference, found)[0]!.sqnr).toBeCloseTo(10, 10);
    expect(errorsOf(reference, found)[0]!.sums).toEqual([1, 4]);
    expect(errorsOf(reference, reference)[0]!.sqnr).toBe(120);
    expect(errorsOf(reference, [[Float32Array.of(3, Number.NaN), Float32Array.of(0, 5)]])[0]!.sqnr).toBe(-120);
  });
});

describe("a step is kept", () => {
  /** Two outputs of 10 in six records, off by about these. */
  const off = (...by: number[]) =>
    by.map((error) => errors(10, ...Array.from({ length: 6 }, (_, i) => 10 + error * (1 + 0.01 * i))));
  test("where the mean rises and no output falls", () => {
    expect(isBetter(off(1, 1), off(0.9, 1))).toBe(true);
    expect(isBetter(off(1, 1), off(1, 1))).toBe(false);
    // +6 dB, −0.8 dB.
    expect(isBetter(off(1, 1), off(0.5, 1.1))).toBe(false);
    // +6 dB, −0.4 dB.
    expect(isBetter(off(1, 1), off(0.5, 1.047))).toBe(true);
    expect(isBetter(off(1, 1), off(0.98, 1.02))).toBe(false);
  });

  test("where most samples win: one of two is not enough", () => {
    const two = (a: number, b: number) => [errors(5, 5 + a, 5 + b)];
    expect(isBetter(two(2, 1), two(1, 0.9))).toBe(true);
    expect(isBetter(two(2, 1), two(0.1, 1.01))).toBe(false);
  });

  test("where an output falls by chance: samples disagree on it", () => {
    const wins = [errors(9, 8, 8, 8, 8), errors(9, 8.9, 8.9, 8.9, 8.9)] as const;
    const chance = [errors(10, 11, 11, 11, 11), errors(10, 12.2, 10.5, 10.2, 10.1)] as const;
    const sure = [errors(10, 11, 11, 11, 11), errors(10, 11.2, 11.3, 11.2, 11.3)] as const;
    expect(chance[1].sqnr).toBeLessThan(chance[0].sqnr - 0.5);
    expect(isBetter([wins[0], chance[0]], [wins[1], chance[1]])).toBe(true);
    expect(isBetter([wins[0], sure[0]], [wins[1], sure[1]])).toBe(false);
    // Student's t of two samples.
    const two = (a: number, b: number) => errors(10, 10 + a, 10 + b);
    expect(isBetter([two(2, 2), two(1, 1)], [two(0.1, 0.1), two(1.3, 2)])).toBe(true);
    expect(isBetter([two(2, 2), two(1, 1)], [two(0.1, 0.1), two(1.3, 1.3)])).toBe(false);
  });
});

test("a bias is corrected by the mean error, where that helps on samples that are held out", () => {
  const lists = (...all: number[][]) => all.map((each) => Float64Array.from(each));
  expect([...correctionOf(lists([2, -1], [2, -1]), lists([1.5, -1]))!]).toEqual([2, -1]);
  // (1 − 2)² is no less than 1².
  expect(correctionOf(lists([2], [2]), lists([1]))).toBeNull();
  expect(correctionOf(lists([2], [2]), lists([-1]))).toBeNull();
  expect(correctionOf(lists([2]), [])).toBeNull();
});
