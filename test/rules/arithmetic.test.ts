/** Scales, zero points and rounding: the vectors of the reference's text, and a naive oracle on many ranges. */
import { describe, expect, test } from "bun:test";
import { integerScale, inverse, roundHalfAway } from "../../src/rules/arithmetic.ts";
import { parametersOfRange, QUANTIZERS } from "../../src/rules/schemes.ts";
import { generator } from "../kernels/oracle.ts";
import { asymmetricOf, exactRound, symmetricOf } from "../operators/oracle.ts";

const asymmetric = (min: number, max: number) => parametersOfRange(QUANTIZERS.uint8, min, max);
/** Symmetric quantizers by their largest integer. */
const SYMMETRIC_ROWS = { 7: QUANTIZERS.int4, 127: QUANTIZERS.int8, 32767: QUANTIZERS.int16 } as const;
const symmetric = (min: number, max: number, limit: keyof typeof SYMMETRIC_ROWS = 32767) =>
  parametersOfRange(SYMMETRIC_ROWS[limit], min, max);

const f32 = Math.fround;
const bits = (x: number) => new Uint32Array(Float32Array.of(x).buffer)[0]!;
const float = (word: number) => new Float32Array(Uint32Array.of(word).buffer)[0]!;

/** §3.2: min, max, then bits of scale, the zero point, bits of the nudged range. */
const ASYMMETRIC: [number, number, number, number, number, number][] = [
  [0, 1, 0x3b808081, 0, 0x80000000, 0x3f800000],
  [-1, 1, 0x3c008081, 128, 0xbf808081, 0x3f7efeff],
  [-8, 8, 0x3d808081, 128, 0xc1008081, 0x40fefeff],
  [-7, 8, 0x3d70f0f1, 119, 0xc0e00000, 0x41000000],
  [0.022708916887640953, 0.9911645770072937, 0x3b7ebbb2, 0, 0x80000000, 0x3f7dbcf6],
  [-3, -1, 0x3c40c0c1, 255, 0xc0400000, 0],
  [0, 0, 0x3727c5ac, 0, 0x80000000, 0x3b271de7],
  [-1, 0, 0x3b808081, 255, 0xbf800000, 0],
  [-1e-6, 1e-6, 0x3727c5ac, 0, 0x80000000, 0x3b271de7],
  [-0.00251, 1e-5, 0x3727c5ac, 251, 0xbb247ed0, 0x3827c5ac],
];

test.each(ASYMMETRIC)("asymmetric %p to %p", (min, max, scale, zeroPoint, nudgedMin, nudgedMax) => {
  const result = asymmetric(f32(min), f32(max));
  expect(bits(result.scale)).toBe(scale);
  expect(Object.is(result.zeroPoint, zeroPoint)).toBe(true);
  expect(bits(result.nudgedMin)).toBe(nudgedMin);
  expect(bits(result.nudgedMax)).toBe(nudgedMax);
});

/** §3.3: min, max, then bits of the scale for 7, 127 and 32767, and of the nudged minimum for 32767. */
const SYMMETRIC: [number, number, number, number, number, number][] = [
  [-1, 1, 0x3e124925, 0x3c010204, 0x38000100, 0xbf800000],
  [-8, 8, 0x3f924925, 0x3d810204, 0x39800100, 0xc1000000],
  [-4.964057750701905, 4.984564266204834, 0x3f364aea, 0x3d20c313, 0x391f82cc, 0xc09f818d],
  [0, 0, 0x3727c5ac, 0x3727c5ac, 0x322bcc77, 0xb9abcb1f],
];

test.each(SYMMETRIC)("symmetric %p to %p", (min, max, int4, int8, int16, nudgedMin) => {
  const at = (limit?: keyof typeof SYMMETRIC_ROWS) => symmetric(f32(min), f32(max), limit);
  expect(bits(at(7).scale)).toBe(int4);
  expect(bits(at(127).scale)).toBe(int8);
  expect(bits(at().scale)).toBe(int16);
  expect(bits(at().nudgedMin)).toBe(nudgedMin);
  expect(bits(at().nudgedMax)).toBe((nudgedMin ^ 0x80000000) >>> 0);
  expect(Object.is(at().zeroPoint, 0)).toBe(true);
});

describe("roundHalfAway", () => {
  // C's round: ties go away from zero; nothing is added before truncating.
  const TRAPS: [number, number][] = [
    [-2.5, -3],
    [2.5, 3],
    [-0.5, -1],
    [0.5, 1],
    [1.5, 2],
    [0.49999999999999994, 0],
    [-0.49999999999999994, 0],
    [2 ** 52 - 0.5, 2 ** 52],
    [2 ** 52 + 1, 2 ** 52 + 1],
    [2 ** 53 - 1, 2 ** 53 - 1],
    [2 ** 53, 2 ** 53],
    [-(2 ** 53) + 1, -(2 ** 53) + 1],
    [2 ** 53 + 2, 2 ** 53 + 2],
    [-(2 ** 51) - 0.5, -(2 ** 51) - 1],
    [1e300, 1e300],
    [5e-324, 0],
  ];
  test.each(TRAPS)("%p is %p", (x, expected) => {
    expect(roundHalfAway(x) + 0).toBe(expected);
  });

  test("agrees with exact integer arithmetic", () => {
    const next = generator(7);
    for (let i = 0; i < 20_000; i++) {
      const near = (next() % 70000) - 35000 + 0.5;
      const x = i % 2 ? near : near * (1 + ((next() % 5) - 2) * 2 ** -52);
      expect(roundHalfAway(x) + 0).toBe(exactRound(x) + 0);
    }
  });
});

test("integerScale: below 1 it is 1, else the nearest integer with ties away from zero", () => {
  const CASES: [number, number][] = [
    [0, 1],
    [f32(0.3), 1],
    [float(0x3f7fffff), 1],
    [1, 1],
    [1.25, 1],
    [1.5, 2],
    [2.5, 3],
    [3.5, 4],
    [float(0x40200001), 3],
    [float(0x401fffff), 2],
    [8388607.5, 8388608],
    [16777216, 16777216],
    [f32(3e38), f32(3e38)],
  ];
  for (const [scale, expected] of CASES) expect(integerScale(scale)).toBe(expected);
});

test("inverse: divided in f64, then rounded", () => {
  for (const scale of [3, 0.1, 1e-5, 1e-8, 255, 1 / 3].map(f32))
    expect(bits(inverse(scale))).toBe(bits(f32(1 / scale)));
});

/** Pairs of floats of every kind; min ≤ max. */
function* ranges(count: number): Generator<[number, number]> {
  const next = generator(20260421);
  const sizes = [
    () => float(next() & 0x7fffff), // denormal
    () => float(next() & 0x7f7fffff), // any size
    () => (next() / 2 ** 32) * 8,
    () => (next() / 2 ** 32) * 4e-3, // around the smallest scale
    () => f32(3.4e38 * (next() / 2 ** 32)),
    () => 0,
    () => (next() % 512) / 2,
  ];
  const one = () => {
    const size = Math.abs(f32(sizes[next() % sizes.length]!()));
    return next() % 2 ? size : -size;
  };
  for (let i = 0; i < count; i++) {
    const a = one();
    const b = i % 11 === 0 ? a : one();
    const pair: [number, number] = a <= b ? [a, b] : [b, a];
    if (i % 13 === 0) yield [-Math.max(...pair.map(Math.abs)), -Math.min(...pair.map(Math.abs))];
    else yield pair;
  }
}

test("30 000 ranges against the naive oracle", () => {
  const seen = { negative: 0, least: 0, zero: 0, denormal: 0 };
  const view = ({ scale, zeroPoint, nudgedMin, nudgedMax }: ReturnType<typeof asymmetric>) =>
    [bits(scale), zeroPoint + 0, bits(nudgedMin), bits(nudgedMax)].join();
  for (const [min, max] of ranges(30_000)) {
    const where = `${min} to ${max}: `;
    expect(where + view(asymmetric(min, max))).toBe(where + view(asymmetricOf(min, max)));
    for (const limit of [7, 127, 32767] as const)
      expect(where + view(symmetric(min, max, limit))).toBe(where + view(symmetricOf(min, max, limit)));
    if (max < 0) seen.negative++;
    if (bits(asymmetric(min, max).scale) === 0x3727c5ac) seen.least++;
    if (min === 0 && max === 0) seen.zero++;
    if (min !== 0 && Math.abs(min) < 1.1754944e-38) seen.denormal++;
  }
  // The generator reaches what it is for.
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(50);
});
