/** Kernels that turn integers into the floats they stand for, against the rule written naively (reference §5.6). */
import { expect, test } from "bun:test";
import { INTEGER_KINDS } from "../../src/weights/kernel-stream.ts";
import { loadKernels } from "../../src/weights/kernels.ts";
import { bitsOf } from "./data.ts";
import { generator } from "./oracle.ts";

const kernels = loadKernels();
const { stream } = kernels;
const f32 = Math.fround;

/** The nearest float32 of an integer, ties to even, without the detour over float64 that would round twice. */
function nearest(value: bigint): number {
  const size = value < 0n ? -value : value;
  const drop = BigInt(Math.max(0, size.toString(2).length - 24));
  const low = size & ((1n << drop) - 1n);
  const half = drop > 0n ? 1n << (drop - 1n) : 0n;
  let kept = size >> drop;
  if (drop > 0n && (low > half || (low === half && (kept & 1n) === 1n))) kept += 1n;
  return Number(value < 0n ? -(kept << drop) : kept << drop);
}

test("the oracle's rounding", () => {
  expect(nearest(2n ** 53n + 1n)).toBe(2 ** 53);
  expect(nearest((1n << 24n) + 1n)).toBe(2 ** 24);
  expect(nearest((1n << 24n) + 3n)).toBe(2 ** 24 + 4);
  expect(nearest(-5n)).toBe(-5);
  // float64 first would make a tie of this and round it down.
  expect(nearest((1n << 61n) + (1n << 37n) + 1n)).toBe(2 ** 61 + 2 ** 38);
});

const ARRAYS = {
  UINT8: Uint8Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
} as const;

type Numbers = (typeof ARRAYS)[keyof typeof ARRAYS]["prototype"];

/** The rule, naively; then the kernel on a block `offset` bytes from a multiple of 16, and on a copy. */
function check(
  kind: keyof typeof ARRAYS,
  values: Numbers,
  { channels, inner }: { channels: number; inner: number },
  scale: Float32Array,
  zeroPoint: BigInt64Array,
  offset: number,
): void {
  const bytes = new Uint8Array(values.buffer as ArrayBuffer, values.byteOffset, values.byteLength);
  const wanted = Float32Array.from({ length: values.length }, (_, i) => {
    const channel = Math.floor(i / inner) % channels;
    return f32(nearest(BigInt.asIntN(64, BigInt(values[i]!) - zeroPoint[channel]!)) * scale[channel]!);
  });
  stream.scoped(() => {
    const block = stream.part(stream.reserve(bytes.length + offset), offset, bytes.length);
    block.bytes().set(bytes);
    expect(bitsOf(stream.dequantize(block, kind, { channels, inner }, scale, zeroPoint))).toEqual(bitsOf(wanted));
  });
  const code = INTEGER_KINDS.indexOf(kind);
  expect(bitsOf(kernels.dequantize(bytes, code, channels, inner, scale, zeroPoint))).toEqual(bitsOf(wanted));
}

test.each([...INTEGER_KINDS])(
  "dequantize %s: f32(f32(q − zero point) · scale) in every layout, also unaligned",
  (kind) => {
    const random = generator(INTEGER_KINDS.indexOf(kind) + 1);
    const size = ARRAYS[kind].BYTES_PER_ELEMENT;
    for (const [outer, channels, inner] of [
      ...Array.from({ length: 68 }, (_, length) => [1, 1, length + 1] as const),
      ...[1, 2, 3, 7, 16].flatMap((channels) =>
        [1, 5, 16].flatMap((inner) => [3, 9].map((outer) => [outer, channels, inner] as const)),
      ),
    ]) {
      const count = outer * channels * inner;
      const bytes = Uint8Array.from({ length: count * size }, () => random() & 255);
      const scale = Float32Array.from({ length: channels }, (_, c) =>
        c === 1 ? 0 : f32(((random() >>> 8) + 1) / 2 ** 20),
      );
      const zeroPoint = BigInt64Array.from({ length: channels }, () => BigInt((random() & 511) - 128));
      check(kind, new ARRAYS[kind](bytes.buffer), { channels, inner }, scale, zeroPoint, count % 4);
    }
  },
);

const EXTREME = [0n, 1n << 30n, (1n << 30n) + 1n, (1n << 31n) - 1n, 1n << 31n, (1n << 63n) - 1n].flatMap((z) => [
  z,
  -z,
]);

test.each([...INTEGER_KINDS])("dequantize %s: zero points from which differences do not fit int32", (kind) => {
  const random = generator(77);
  const size = ARRAYS[kind].BYTES_PER_ELEMENT;
  for (const [outer, channels, inner] of [
    [1, 1, 67],
    [1, 3, 29],
    [20, 2, 1],
    [9, 3, 5],
  ] as const) {
    for (const zero of [...EXTREME, 2n, -2n, 40_000_000n, -40_000_000n]) {
      // Ordinary values, and here and there one at the ends of the type.
      const values = new ARRAYS[kind](outer * channels * inner);
      const bytes = new Uint8Array(values.buffer);
      for (let i = 0; i < values.length; i++) {
        const ending = random() % 5 === 0;
        for (let byte = 0; byte < size; byte++) {
          const last = byte === size - 1;
          bytes[i * size + byte] = !ending
            ? byte < 2
              ? random()
              : 0
            : random() % 2
              ? last
                ? 127
                : 255
              : last
                ? 128
                : 0;
        }
      }
      const zeroPoint = BigInt64Array.from({ length: channels }, (_, c) => (c === 1 ? 3n : zero));
      check(kind, values, { channels, inner }, new Float32Array(channels).fill(0.1), zeroPoint, 3);
    }
  }
});

test("unpack: the first of two is low, signed and unsigned, any length; nibbles is its inverse", () => {
  const random = generator(9);
  for (let count = 0; count < 140; count++) {
    const packed = Uint8Array.from({ length: Math.ceil(count / 2) }, () => random() & 255);
    const nibble = (i: number) => (packed[i >> 1]! >> (4 * (i & 1))) & 15;
    const unsigned = Int8Array.from({ length: count }, (_, i) => nibble(i));
    const signed = unsigned.map((value) => (value > 7 ? value - 16 : value));
    expect(kernels.unpack(packed, count, 0)).toEqual(unsigned);
    expect(kernels.unpack(packed, count, 1)).toEqual(signed);
    if (count % 2 === 0) expect(kernels.nibbles(signed)).toEqual(packed);
    stream.scoped(() => {
      const block = stream.part(stream.reserve(packed.length + 3), 3, packed.length);
      block.bytes().set(packed);
      expect(stream.unpack(block, count, true)).toEqual(signed);
    });
  }
});
