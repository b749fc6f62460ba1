import { expect, test } from "bun:test";
import { loadKernels } from "../../src/weights/kernels.ts";
import { floats, KINDS } from "./data.ts";

const kernels = loadKernels();
const { stream } = kernels;
const FLT_MAX = 3.4028234663852886e38;

/** kernels.wit word for word, by division instead of shifts. */
function naive(values: Float32Array, pages: Int32Array, counts: Uint32Array): [Uint32Array, number] {
  const result = counts.slice();
  const word = new DataView(new ArrayBuffer(4));
  for (const [i, value] of values.entries()) {
    if (Number.isNaN(value) || value === -FLT_MAX) continue;
    word.setFloat32(0, value);
    const bits = word.getUint32(0);
    const page = pages[Math.floor(bits / 2 ** 23)]!;
    if (page < 0) return [result, i];
    result[page + (Math.floor(bits / 2 ** 13) % 1024)]!++;
  }
  return [result, values.length];
}

const EVERY = Int32Array.from({ length: 512 }, (_, octave) => 1024 * (octave % 5));
const COUNTS = Uint32Array.from({ length: 5 * 1024 }, (_, i) => i * 3);

test("counts equal the naive loop's", () => {
  for (const kind of KINDS) {
    for (let length = 0; length <= 67; length++) {
      const values = floats(kind, length, length + 5);
      expect(kernels.histogram(values, EVERY, COUNTS)).toEqual(naive(values, EVERY, COUNTS) as never);
    }
  }
});

test("stops before the first value whose octave has no page", () => {
  const some = EVERY.map((page, octave) => (octave % 11 === 3 ? -1 : page));
  for (const kind of KINDS) {
    for (let seed = 0; seed < 20; seed++) {
      const values = floats(kind, 50, seed);
      expect(kernels.histogram(values, some, COUNTS)).toEqual(naive(values, some, COUNTS) as never);
    }
  }
  const none = new Int32Array(512).fill(-1);
  const passed = Float32Array.of(Number.NaN, -FLT_MAX, Number.NaN);
  expect(kernels.histogram(passed, none, new Uint32Array(0))).toEqual([new Uint32Array(0), 3] as never);
  for (const value of [FLT_MAX, Number.NEGATIVE_INFINITY, 0, -0, 1e-45]) {
    expect(kernels.histogram(Float32Array.of(Number.NaN, value), none, COUNTS)[1]).toBe(1);
  }
});

test("in place, at any byte, in pieces", () => {
  const values = floats("bits", 301, 3);
  stream.scoped(() => {
    const pages = stream.copyIn(EVERY);
    const first = stream.reserve(1024 * 4);
    const counts = stream.span(first, stream.reserve(4 * 1024 * 4));
    counts.bytes().set(new Uint8Array(COUNTS.buffer));
    const block = stream.part(stream.reserve(values.byteLength + 3), 3, values.byteLength);
    block.bytes().set(new Uint8Array(values.buffer));
    for (const [from, to] of [
      [0, 100],
      [100, 101],
      [101, 301],
    ] as const)
      expect(stream.histogram(stream.part(block, 4 * from, 4 * (to - from)), pages, counts)).toBe(to - from);
    const [wanted] = naive(values, EVERY, COUNTS);
    expect(new Uint32Array(counts.bytes().slice().buffer)).toEqual(wanted as never);
  });
});

test("pages outside of the counts, or too few of them, trap", () => {
  const value = Float32Array.of(1);
  expect(() => kernels.histogram(value, EVERY, COUNTS.subarray(1))).toThrow();
  expect(() => kernels.histogram(value, EVERY.subarray(1), COUNTS)).toThrow();
});
