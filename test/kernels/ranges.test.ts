import { expect, test } from "bun:test";
import { type ChannelRanges, laterStart, loadKernels, mergeRanges } from "../../src/weights/kernels.ts";
import { bitsOf, floats, KINDS } from "./data.ts";
import * as oracle from "./oracle.ts";

const kernels = loadKernels();
const { stream } = kernels;
const NONE = new Float32Array(0);

const LAYOUTS = [
  ...[1, 2, 3, 4, 5, 16, 17, 67].map((channels) => ({ outer: 1, channels, inner: 1 })),
  ...[1, 2, 3, 4, 7, 8, 64, 65, 130].map((channels) => ({ outer: 37, channels, inner: 1 })),
  ...[1, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 18, 19, 27, 63, 64, 67].flatMap((inner) =>
    [1, 2, 5, 9].map((outer) => ({ outer, channels: 5, inner })),
  ),
];

test("minmax and observe are the scalar loop, bit for bit", () => {
  for (const kind of KINDS) {
    for (let length = 0; length <= 67; length++) {
      for (const seed of [1, 2, 3]) {
        const values = floats(kind, length, seed * 1000 + length);
        const range = kernels.minmax(values);
        const wanted = oracle.minmax(values);
        expect([bitsOf(range.min), bitsOf(range.max), range.nans]).toEqual([
          bitsOf(wanted.min),
          bitsOf(wanted.max),
          wanted.nans,
        ]);
        const seen = kernels.observe(values);
        const wantedSeen = oracle.observe(values);
        expect([bitsOf(seen.min), bitsOf(seen.max), seen.seen]).toEqual([
          bitsOf(wantedSeen.min),
          bitsOf(wantedSeen.max),
          wantedSeen.seen,
        ]);
      }
    }
  }
});

test("of two zeros the first one stays, wherever it is", () => {
  for (let first = 0; first < 40; first++) {
    for (const sign of [0, -0]) {
      const values = new Float32Array(40).fill(1);
      values[first] = sign;
      for (let i = first + 1; i < 40; i++) values[i] = -sign;
      expect(bitsOf(kernels.minmax(values).min)).toEqual(bitsOf(sign));
      const negative = values.map((v) => (v === 1 ? -1 : v));
      expect(bitsOf(kernels.minmax(negative).max)).toEqual(bitsOf(sign));
    }
  }
});

test("channels is the scalar loop in every layout", () => {
  for (const { outer, channels, inner } of LAYOUTS) {
    for (const kind of KINDS) {
      const values = floats(kind, outer * channels * inner, channels * 31 + inner);
      const [mins, maxs, nans] = kernels.channels(values, channels, inner, NONE, NONE);
      const wanted = oracle.channels(values, { channels, inner });
      expect([bitsOf(mins), bitsOf(maxs), nans]).toEqual([wanted.mins, wanted.maxs, wanted.nans]);
    }
  }
});

test("channels in pieces: going on, and scanned apart and merged, are one scan", () => {
  for (const { outer, channels, inner } of LAYOUTS) {
    for (const kind of KINDS) {
      const row = channels * inner;
      const values = floats(kind, outer * row, outer + channels * 7 + inner);
      const wanted = oracle.channels(values, { channels, inner });
      const cut = Math.max(1, Math.floor(outer / 3)) * row;
      const going = kernels.channels(values.subarray(0, cut), channels, inner, NONE, NONE);
      const merged: ChannelRanges = { mins: going[0].slice(), maxs: going[1].slice(), nans: going[2] };
      let [mins, maxs, nans] = going;
      for (let at = cut; at < values.length; at += cut) {
        const part = values.subarray(at, at + cut);
        const next = kernels.channels(part, channels, inner, mins, maxs);
        [mins, maxs, nans] = [next[0], next[1], nans + next[2]];
        const start = laterStart(channels);
        const apart = kernels.channels(part, channels, inner, start.mins, start.maxs);
        mergeRanges(merged, { mins: apart[0], maxs: apart[1], nans: apart[2] });
      }
      expect([bitsOf(mins), bitsOf(maxs), nans]).toEqual([wanted.mins, wanted.maxs, wanted.nans]);
      expect([bitsOf(merged.mins), bitsOf(merged.maxs), merged.nans]).toEqual([wanted.mins, wanted.maxs, wanted.nans]);
    }
  }
});

test("blocks may start at any byte", () => {
  for (const kind of KINDS) {
    for (const offset of [1, 2, 3, 4, 7]) {
      const values = floats(kind, 5 * 3 * 23, offset);
      stream.scoped(() => {
        const block = stream.part(stream.reserve(values.byteLength + offset), offset, values.byteLength);
        block.bytes().set(new Uint8Array(values.buffer));
        const range = stream.minmax(block);
        const wanted = oracle.minmax(values);
        expect([bitsOf(range.min), bitsOf(range.max), range.nans]).toEqual([
          bitsOf(wanted.min),
          bitsOf(wanted.max),
          wanted.nans,
        ]);
        expect(stream.observe(block)).toEqual(oracle.observe(values));
        for (const shape of [
          { channels: 3, inner: 23 },
          { channels: 23, inner: 15 },
          { channels: 15, inner: 1 },
        ]) {
          const found = stream.channels(block, shape);
          const expected = oracle.channels(values, shape);
          expect([bitsOf(found.mins), bitsOf(found.maxs), found.nans]).toEqual([
            expected.mins,
            expected.maxs,
            expected.nans,
          ]);
        }
      });
    }
  }
});

test("memory grows on demand, scopes give it back, and a block's bytes are there after growing", () => {
  stream.reset();
  const small = stream.reserve(16);
  small.bytes().fill(7);
  const megabytes = 48 * 2 ** 20;
  const first = stream.scoped(() => stream.reserve(megabytes).pointer);
  const again = stream.scoped(() => stream.reserve(megabytes).pointer);
  expect(again).toBe(first);
  expect([...small.bytes()]).toEqual(new Array(16).fill(7));
  expect(() => stream.part(small, 8, 9)).toThrow(RangeError);
  stream.reset();
  expect(stream.reserve(16).pointer).toBe(small.pointer);
  stream.reset();
});
