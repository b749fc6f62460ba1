/** Kernels of weights alone: bytes with their ranges, blocks with float16 scales, float16, int2. Each against a scalar rule written here. */
import { expect, test } from "bun:test";
import { parametersOfRange, WEIGHT_SCHEMES } from "../../src/rules/schemes.ts";
import { loadKernels } from "../../src/weights/kernels.ts";
import { bitsOf, floats, KINDS } from "./data.ts";
import { channels as channelRanges, FLT_MAX, generator, round, sym } from "./oracle.ts";

const f32 = Math.fround;
const kernels = loadKernels();
const { stream } = kernels;
const WIDTHS = [
  WEIGHT_SCHEMES["dynamic-int8"].quantizers[0],
  WEIGHT_SCHEMES["dynamic-int4"].quantizers[0],
  WEIGHT_SCHEMES["dynamic-int2"].quantizers[0],
];

/** Rows whose sizes differ, as those of weights do. */
function rows(channels: number, inner: number, size: number, seed: number): Float32Array<ArrayBuffer> {
  const next = generator(seed);
  return Float32Array.from({ length: channels * inner }, () => (next() / 2 ** 31 - 1) * size * (1 + (next() % 7)));
}

test("limits and least scales are those of the facts: max|w| / 127, / 7, / 1, and no bound below 1e-9", () => {
  expect(WIDTHS.map(({ dtype, low, high }) => [dtype, low, high])).toEqual([
    ["INT8", -127, 127],
    ["INT4", -7, 7],
    ["INT2", -1, 1],
  ]);
  for (const quantizer of WIDTHS) {
    expect(parametersOfRange(quantizer, -3, 2).scale).toBe(f32(3 / quantizer.high));
    expect(parametersOfRange(quantizer, 0, 0).scale).toBe(f32(1e-9 / quantizer.high));
    expect(parametersOfRange(quantizer, 0, 0).scale).toBeGreaterThan(2 ** -126);
  }
});

test.each(WIDTHS)("fusedbyte: ranges, parameters and integers are the scalar rules, $dtype", (quantizer) => {
  const { high, smallestScale } = quantizer;
  let near = 0;
  const check = (values: Float32Array, channels: number, inner: number, ordinary: boolean) => {
    const [integers, scale, zeroPoint, nmin, nmax, inv, nans, infinite, isNear] = kernels.fusedbyte(
      values,
      channels,
      inner,
      high,
      smallestScale,
    );
    const wanted = channelRanges(values, { channels, inner });
    const [mins, maxs] = [new Float32Array(wanted.mins.buffer), new Float32Array(wanted.maxs.buffer)];
    const reaches = mins.some((v) => v <= -FLT_MAX) || maxs.some((v) => v >= FLT_MAX);
    expect([nans, infinite]).toEqual([wanted.nans, Number(reaches)]);
    if (nans > 0) expect(isNear).toBe(0);
    if (nans > 0 || reaches) return;
    for (let c = 0; c < channels; c++) {
      const largest = Math.max(Math.abs(mins[c]!), Math.abs(maxs[c]!));
      const expected = Math.max(f32(largest / high), f32(smallestScale));
      expect([scale[c]!, Number(zeroPoint[c]), inv[c]!]).toEqual([expected, 0, f32(1 / expected)]);
    }
    if (ordinary) expect(isNear).toBe(1);
    if (isNear === 0) return;
    near++;
    const p = { nmin, nmax, inv, scale };
    expect(integers).toEqual(Int8Array.from(sym(values, { channels, inner }, p, high)));
  };
  for (let seed = 1; seed <= 60; seed++)
    for (const size of [0, 1e-38, 1e-12, 1e-6, 0.003, 1, 42, 1e20, 3e37])
      check(
        rows(1 + (seed % 5), 1 + ((seed * 7) % 70), size, seed),
        1 + (seed % 5),
        1 + ((seed * 7) % 70),
        size >= 1e-6 && size <= 42,
      );
  for (const kind of KINDS)
    for (let length = 1; length <= 67; length++)
      for (const channels of [1, 3]) check(floats(kind, channels * length, length), channels, length, false);
  expect(near).toBeGreaterThan(60 * 6);
});

test("tohalf is IEEE's rounding for all halves, what lies between two, and random floats; it counts what became infinite", () => {
  const all = new Float32Array(new Float16Array(Uint16Array.from({ length: 31744 }, (_, i) => i).buffer));
  const between = Array.from(all).flatMap((value, i) => {
    const next = i + 1 < all.length ? all[i + 1]! : 65536;
    const middle = bitsOf(f32((value + next) / 2))[0]!;
    return [value, ...new Float32Array(Uint32Array.of(middle - 1, middle, middle + 1).buffer)];
  });
  const positive = Float32Array.from([...between, 65504, 65519.996, 65520, 65536, FLT_MAX, Number.POSITIVE_INFINITY]);
  for (const sign of [1, -1]) {
    const values = positive.map((value) => value * sign);
    const [halves, overflowed] = kernels.tohalf(values);
    const wanted = new Uint16Array(new Float16Array(values).buffer);
    expect(
      Buffer.compare(
        new Uint8Array(halves.buffer, halves.byteOffset, halves.byteLength),
        new Uint8Array(wanted.buffer),
      ),
    ).toBe(0);
    expect(overflowed).toBe(values.filter((v) => Number.isFinite(v) && Math.abs(v) >= 65520).length);
  }
  for (let seed = 0; seed < 20; seed++) {
    for (const length of [seed, 4096 + seed]) {
      const values = floats("bits", length, seed);
      const [halves, overflowed] = kernels.tohalf(values);
      const rounded = new Float16Array(values);
      const wanted = new Uint16Array(rounded.buffer);
      const sign = (i: number) => bitsOf(values)[i]! >>> 31;
      expect(halves).toEqual(wanted.map((bits, i) => (Number.isNaN(values[i]!) ? 0x7e00 | (sign(i) << 15) : bits)));
      expect(overflowed).toBe(values.filter((v, i) => Number.isFinite(v) && !Number.isFinite(rounded[i]!)).length);
    }
  }
});

test("crumbs: four a byte, the first lowest, what lacks is 0", () => {
  const next = generator(4);
  for (const length of [...Array.from({ length: 140 }, (_, i) => i), 1003]) {
    const values = Int8Array.from({ length }, () => (next() % 4) - 2);
    const bytes = new Uint8Array(Math.ceil(length / 4));
    values.forEach((value, i) => {
      bytes[i >> 2]! += (value & 3) * 4 ** (i % 4);
    });
    expect(kernels.crumbs(values)).toEqual(bytes);
  }
  expect([...kernels.crumbs(Int8Array.of(1, -1, 0, 1, -1))]).toEqual([0b01_00_11_01, 0b11]);
});

test("nibbles and crumbs go where they were placed", () => {
  stream.scoped(() => {
    const values = stream.copyIn(Int8Array.from({ length: 80 }, (_, i) => (i % 4) - 2));
    const room = stream.reserve(100);
    room.bytes().fill(77);
    const wanted = [stream.nibbles(values).slice(), stream.crumbs(values).slice()];
    stream.into(stream.part(room, 1, 40), () => stream.nibbles(values));
    stream.into(stream.part(room, 50, 20), () => stream.crumbs(values));
    expect([...room.bytes()]).toEqual([
      77,
      ...wanted[0]!,
      ...new Array(9).fill(77),
      ...wanted[1]!,
      ...new Array(30).fill(77),
    ]);
  });
});

/** To the nearest float with 8 significant bits, ties to the even one: by comparing distances. */
function brainFloat(x: number): number {
  const bits = bitsOf(f32(x))[0]!;
  const at = (word: number) => new Float32Array(Uint32Array.of(word).buffer)[0]!;
  const low = bits & 0xffff0000;
  const [below, above] = [at(low >>> 0), at((low + 0x10000) >>> 0)];
  const [down, up] = [x - below, above - x];
  if (down !== up) return down < up ? below : above;
  return (low >>> 16) % 2 === 0 ? below : above;
}

/** litert-quantizer's scale of a block. */
function blockScale(values: Float32Array, limit: number): number {
  const largest = values.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  const short = Math.min(brainFloat(f32(largest / limit)), 65280);
  return new Float16Array([short])[0]! || 2 ** -14;
}

test("blocks: scale of 8 bits in float16, integers by the scale that is stored; zeros, tiny and huge blocks", () => {
  const sizes = [0, 1e-12, 3e-8, 1e-6, 1e-4, 0.02, 1, 300, 4e5, 5e5, 1e9, 3e37];
  for (const block of [32, 64, 128, 256]) {
    for (let seed = 1; seed <= 30; seed++) {
      const values = new Float32Array(sizes.length * block);
      for (const [i, size] of sizes.entries()) values.set(rows(1, block, size, seed * 100 + i), i * block);
      const [integers, scales, nans, infinite] = kernels.blocks(values, block, 7);
      expect([nans, infinite]).toEqual([0, 0]);
      const stored = new Float32Array(new Float16Array(scales.buffer, scales.byteOffset, scales.length));
      sizes.forEach((_, i) => {
        const part = values.subarray(i * block, (i + 1) * block);
        const scale = blockScale(part, 7);
        expect(stored[i]!).toBe(scale);
        const inv = f32(1 / scale);
        const wanted = Int8Array.from(part, (v) => Math.max(-7, Math.min(7, round(f32(v * inv)))) + 0);
        expect(integers.subarray(i * block, (i + 1) * block)).toEqual(wanted);
      });
    }
  }
  const [integers, scales] = kernels.blocks(new Float32Array(32), 32, 7);
  expect([...integers, ...scales]).toEqual([...new Array(32).fill(0), 0x0400]);
});

test("blocks: NaN are counted, infinities found", () => {
  const values = floats("ordinary", 96, 2);
  values[5] = values[6] = values[70] = Number.NaN;
  expect(kernels.blocks(values, 32, 7).slice(2)).toEqual([3, 0]);
  values[40] = Number.NEGATIVE_INFINITY;
  expect(kernels.blocks(values, 32, 7).slice(2)).toEqual([3, 1]);
});
