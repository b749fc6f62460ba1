/** Descriptions that are read in pieces which were cut along other channels than their own. */
import { describe, expect, test } from "bun:test";
import { rangeOf } from "../../src/model/bytes.ts";
import { type Constant, channelsAlong, stored } from "../../src/weights/constant.ts";
import { loadFloats } from "../../src/weights/floats.ts";
import { loadKernels } from "../../src/weights/kernels.ts";
import { type Piece, partsOf, piecesOf } from "../../src/weights/pieces.ts";
import { numbers } from "./support.ts";

const SHAPE = [3, 4, 5];
const COUNT = 60;

/** The channel of element `i` along `axis`, by its index. */
function channelOf(i: number, axis: number): number {
  return [Math.floor(i / 20), Math.floor(i / 5) % 4, i % 5][axis]!;
}

const flat = (first: number, count: number): Piece => ({ first, count, channel: 0, channels: 1, inner: count });

/** Pieces along every axis in sizes that fit and do not, and every run of elements. */
function* allPieces(): Generator<Piece> {
  for (const axis of [0, 1, 2])
    for (const limit of [1, 3, 7, 20, 60]) yield* piecesOf(channelsAlong(SHAPE, axis), limit);
  for (let first = 0; first < COUNT; first++)
    for (let end = first + 1; end <= COUNT; end++) yield flat(first, end - first);
}

function load(constant: Constant, piece: Piece): Float32Array {
  const { stream } = loaded;
  return stream.scoped(() => new Float32Array(loadFloats(stream, constant, piece).bytes().slice().buffer));
}

const loaded = loadKernels();

describe("every piece, every axis", () => {
  for (const axis of [0, 1, 2]) {
    const layout = channelsAlong(SHAPE, axis);
    const parameters = Float32Array.from({ length: layout.channels }, (_, i) => Math.fround(0.1 * (i + 1)));

    test(`scaled along axis ${axis}: f32(value · factor)`, () => {
      const values = numbers(COUNT);
      const of = stored(rangeOf(new Uint8Array(values.buffer)), COUNT);
      const constant: Constant = { kind: "scaled", of, layout, factor: parameters, count: COUNT, length: COUNT * 4 };
      const expected = values.map((value, i) => Math.fround(value * parameters[channelOf(i, axis)]!));
      for (const piece of allPieces())
        expect(load(constant, piece)).toEqual(expected.slice(piece.first, piece.first + piece.count));
    });

    test(`dequantized along axis ${axis}: f32(q − zero point) · scale`, () => {
      const integers = Uint8Array.from({ length: COUNT }, (_, i) => (i * 97) % 256);
      const zeroPoint = BigInt64Array.from({ length: layout.channels }, (_, i) => BigInt(100 + i));
      const of = stored(rangeOf(integers), COUNT);
      const constant: Constant = {
        ...{ kind: "dequantized", of, dtype: "UINT8", layout, scale: parameters, zeroPoint },
        ...{ count: COUNT, length: COUNT * 4 },
      };
      const expected = Float32Array.from(integers, (q, i) => {
        const channel = channelOf(i, axis);
        return Math.fround((q - Number(zeroPoint[channel])) * parameters[channel]!);
      });
      for (const piece of allPieces())
        expect(load(constant, piece)).toEqual(expected.slice(piece.first, piece.first + piece.count));
    });
  }
});

test("parts are in order, whole, and of whole channels or one run", () => {
  for (const axis of [0, 1, 2]) {
    const layout = channelsAlong(SHAPE, axis);
    for (const piece of allPieces()) {
      let at = piece.first;
      for (const part of partsOf(piece, layout)) {
        expect(part.first).toBe(at);
        expect(part.count % (part.channels * part.inner)).toBe(0);
        for (let i = 0; i < part.count; i++)
          expect(channelOf(part.first + i, axis)).toBe(part.channel + (Math.floor(i / part.inner) % part.channels));
        at += part.count;
      }
      expect(at).toBe(piece.first + piece.count);
    }
  }
});
