/** The rule by which steps are kept, and what sequential correction decides; small numbers by hand. */
import { describe, expect, test } from "bun:test";
import { errorsOf, isBetter } from "../../src/accuracy/accept.ts";
import { correctionOf } from "../../src/accuracy/sequential.ts";

const one = (...values: number[]) => [[Float32Array.from(values)]];

describe("what outputs are off by", () => {
  test("10·log10 of signal by noise over all records of an output", () => {
    const reference = [[Float32Array.of(3, 4), Float32Array.of(0, 5)]];
    const found = [[Float32Array.of(3, 3), Float32Array.of(2, 5)]];
    // (9 + 16 + 0 + 25) / (1 + 4).
    expect(errorsOf(reference, found)[0]!.sqnr).toBeCloseTo(10, 10);
    expect([...errorsOf(reference, found)[0]!.squares]).toEqual([0, 1, 4, 0]);
    expect(errorsOf(reference, reference)[0]!.sqnr).toBe(120);
    expect(errorsOf(reference, [[Float32Array.of(3, Number.NaN), Float32Array.of(0, 5)]])[0]!.sqnr).toBe(-120);
  });
});

describe("a step is kept", () => {
  const reference = [...one(10, 10, 10, 10, 10, 10), ...one(10, 10, 10, 10, 10, 10)];
  const off = (...errors: number[]) =>
    errorsOf(
      reference,
      errors.map((error) => one(...Array.from({ length: 6 }, (_, i) => 10 + error * (1 + 0.01 * i)))[0]!),
    );
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
    const two = (a: number, b: number) =>
      errorsOf(
        [[Float32Array.of(5, 6), Float32Array.of(7, 8)]],
        [[Float32Array.of(5 + a, 6), Float32Array.of(7 + b, 8)]],
      );
    expect(isBetter(two(2, 1), two(1, 0.9))).toBe(true);
    expect(isBetter(two(2, 1), two(0.1, 1.01))).toBe(false);
  });

  test("where an output falls by chance: its values disagree, or there is one only", () => {
    const before = errorsOf(one(10, 10, 10, 10), one(11, 11, 11, 11));
    const after = errorsOf(one(10, 10, 10, 10), one(12.2, 10.5, 10.2, 10.1));
    expect(after[0]!.sqnr).toBeLessThan(before[0]!.sqnr - 0.5);
    const [wins, lost] = [errorsOf(one(9, 9), one(8, 8)), errorsOf(one(9, 9), one(8.9, 8.9))];
    expect(isBetter([wins[0]!, before[0]!], [lost[0]!, after[0]!])).toBe(true);
    const single = (error: number) => errorsOf(one(10), one(10 + error));
    expect(isBetter([wins[0]!, single(0.1)[0]!], [lost[0]!, single(0.3)[0]!])).toBe(true);
  });
});

test("a bias is corrected by the mean error, where that helps on samples that are held out", () => {
  const errors = (...all: number[][]) => all.map((each) => Float64Array.from(each));
  expect([...correctionOf(errors([2, -1], [2, -1]), errors([1.5, -1]))!]).toEqual([2, -1]);
  // (1 − 2)² is no less than 1².
  expect(correctionOf(errors([2], [2]), errors([1]))).toBeNull();
  expect(correctionOf(errors([2], [2]), errors([-1]))).toBeNull();
  expect(correctionOf(errors([2]), [])).toBeNull();
});
