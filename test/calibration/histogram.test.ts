/** Histograms: the bins of the definition, whatever the pieces and their order. */
import { expect, test } from "bun:test";
import { distributionOf } from "../../src/calibration/distribution.ts";
import { type Histogram, Histograms, mergeHistograms } from "../../src/calibration/histogram.ts";
import { loadKernels } from "../../src/weights/kernels.ts";
import { floats, KINDS } from "../kernels/data.ts";
import { binWidth, draw, laplace, normal, valuesThatCount } from "./value-oracle.ts";

/** Histograms of tensors that are shown in pieces, one after the other. */
function histogramsOf(tensors: number, shown: readonly [tensor: number, values: Float32Array][]): Histogram[] {
  const { stream } = loadKernels();
  const block = stream.reserve(1 << 16);
  const histograms = new Histograms(stream, tensors);
  for (const [tensor, values] of shown) {
    const part = stream.part(block, 0, values.byteLength);
    part.bytes().set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    histograms.add(tensor, part);
  }
  return Array.from({ length: tensors }, (_, tensor) => histograms.of(tensor));
}

function naive(values: Float32Array): Record<number, number> {
  const counts: Record<number, number> = {};
  const word = new DataView(new ArrayBuffer(4));
  for (const value of valuesThatCount(values)) {
    word.setFloat32(0, value);
    const bin = Math.floor(word.getUint32(0) / 2 ** 13);
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts;
}

const asRecord = ({ bins, counts }: Histogram) => Object.fromEntries(Array.from(bins, (bin, i) => [bin, counts[i]!]));

test("the bins of the definition; tensors do not mix", () => {
  const shown = KINDS.flatMap((kind, tensor) =>
    [1, 2, 3].map((seed): [number, Float32Array] => [tensor, floats(kind, 501 * seed, seed)]),
  );
  const found = histogramsOf(KINDS.length, [...shown].reverse());
  for (const tensor of KINDS.keys()) {
    const all = shown.filter(([of]) => of === tensor).flatMap(([, values]) => [...values]);
    const histogram = found[tensor]!;
    expect(asRecord(histogram)).toEqual(naive(Float32Array.from(all)));
    expect([...histogram.bins]).toEqual([...histogram.bins].sort((a, b) => a - b));
  }
});

test("any split over workers, in any order, merges to the same", () => {
  const parts = [
    ...[1, 2, 3].map((seed) => draw(2000, seed, laplace)),
    floats("bits", 3000, 4),
    floats("special", 300, 5),
    new Float32Array(0),
  ];
  const [whole] = histogramsOf(
    1,
    parts.map((values) => [0, values]),
  );
  const each = parts.map((values) => histogramsOf(1, [[0, values]])[0]!);
  expect(each.reduce(mergeHistograms)).toEqual(whole!);
  expect([...each].reverse().reduce(mergeHistograms)).toEqual(whole!);
  const halves = [each.slice(0, 2), each.slice(2)].map((half) => half.reduce(mergeHistograms));
  expect(mergeHistograms(halves[1]!, halves[0]!)).toEqual(whole!);
});

test("counts past 32 bits are exact", () => {
  const { stream } = loadKernels();
  const block = stream.reserve(4);
  const histograms = new Histograms(stream, 1);
  block.bytes().set(new Uint8Array(Float32Array.of(1).buffer));
  histograms.add(0, block);
  // As if 2^32 − 2 more of them had been shown.
  const pages = stream.reserve(0);
  const counter = stream.part({ ...pages, pointer: pages.pointer - 4096, byteLength: 4096 }, 0, 4);
  new DataView(counter.bytes().buffer).setUint32(pages.pointer - 4096, 0xffffffff, true);
  (histograms as unknown as { sinceDrained: Float64Array }).sinceDrained[0] = 0xffffffff;
  histograms.add(0, block);
  histograms.add(0, block);
  expect([...histograms.of(0).counts]).toEqual([2 ** 32 + 1]);
});

test("memory depends on the octaves that occur, not on the number of values", () => {
  const { stream } = loadKernels();
  const block = stream.reserve(4 * 8192);
  const histograms = new Histograms(stream, 1);
  const end = () => stream.reserve(0).pointer;
  const show = (seed: number) => {
    block.bytes().set(new Uint8Array(draw(8192, seed, normal).buffer));
    histograms.add(0, block);
  };
  const start = end();
  for (let seed = 0; seed < 20; seed++) show(seed);
  const early = end() - start;
  for (let seed = 20; seed < 200; seed++) show(seed);
  expect(end() - start - early).toBeLessThan(12 * 4096);
  block.bytes().set(new Uint8Array(floats("bits", 8192, 1).buffer));
  for (let i = 0; i < 50; i++) histograms.add(0, block);
  expect(end() - start).toBeLessThanOrEqual(512 * 4096);
});

test("a distribution's pieces ascend, hold their values, and end at the exact extremes", () => {
  for (const kind of KINDS) {
    if (kind === "nan") continue;
    const values = floats(kind, 700, 9);
    const counted = valuesThatCount(values);
    const [min, max] = [Math.min(...counted), Math.max(...counted)];
    const pieces = distributionOf(histogramsOf(1, [[0, values]])[0]!, min, max);
    expect([pieces.lows[0]! + 0, pieces.highs.at(-1)! + 0]).toEqual([
      Math.abs(min) < 2 ** -136 ? 0 : min + 0,
      Math.abs(max) < 2 ** -136 ? 0 : max + 0,
    ]);
    const sorted = counted.sort((a, b) => a - b);
    let at = 0;
    pieces.counts.forEach((count, i) => {
      if (i > 0) expect(pieces.lows[i]!).toBeGreaterThanOrEqual(pieces.highs[i - 1]!);
      for (const value of sorted.slice(at, at + count)) {
        const rounded = Math.abs(value) < 2 ** -136 ? 0 : value;
        expect(rounded).toBeGreaterThanOrEqual(pieces.lows[i]!);
        expect(rounded).toBeLessThanOrEqual(pieces.highs[i]!);
        if (Number.isFinite(value)) expect(pieces.highs[i]! - pieces.lows[i]!).toBeLessThanOrEqual(binWidth(value));
      }
      at += count;
    });
    expect(at).toBe(sorted.length);
  }
});
