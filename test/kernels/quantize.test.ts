import { describe, expect, test } from "bun:test";
import { parametersOfRange, QUANTIZERS } from "../../src/rules/schemes.ts";
import { setParameters } from "../../src/weights/encode.ts";
import { loadKernels } from "../../src/weights/kernels.ts";
import { bitsOf, floats, KINDS, parameters } from "./data.ts";
import * as oracle from "./oracle.ts";

const { generator } = oracle;
const kernels = loadKernels();
const { stream } = kernels;

/** Layouts that take every way through the loops: runs, rows, repeated rows, tails of all lengths. */
const LAYOUTS = [
  ...Array.from({ length: 68 }, (_, length) => ({ outer: length, channels: 1, inner: 1 })),
  ...Array.from({ length: 36 }, (_, inner) => ({ outer: 2, channels: 3, inner: inner + 1 })),
  ...[2, 3, 4, 7, 15, 16, 17, 64, 255, 256, 257, 300].flatMap((channels) =>
    [1, 2, 9, 70].map((outer) => ({ outer, channels, inner: 1 })),
  ),
  ...[2, 9, 15, 16].map((inner) => ({ outer: 50, channels: 6, inner })),
];

test("asym, asym0, sym, symbyte, sym0, fakeasym, fakesym are the scalar rules in every layout, also unaligned", () => {
  for (const { outer, channels, inner } of LAYOUTS) {
    for (const kind of KINDS) {
      const seed = outer * 1009 + channels * 31 + inner;
      const values = floats(kind, outer * channels * inner, seed);
      const p = parameters(channels, seed);
      const shape = { channels, inner };
      stream.scoped(() => {
        const offset = seed % 4;
        const block = stream.part(stream.reserve(values.byteLength + offset), offset, values.byteLength);
        block.bytes().set(new Uint8Array(values.buffer));
        expect(stream.asym(block, shape, p.nmin, p.nmax, p.inv)).toEqual(oracle.asym(values, shape, p));
        expect(stream.asym0(block, shape, p.nmin, p.inv)).toEqual(oracle.asym0(values, shape, p));
        for (const limit of [32767, 127, 7]) {
          const wanted = oracle.sym(values, shape, p, limit);
          expect(stream.sym(block, shape, p.nmin, p.nmax, p.inv, limit)).toEqual(wanted);
          if (limit < 128) {
            expect(stream.symbyte(block, shape, p.nmin, p.nmax, p.inv, limit)).toEqual(Int8Array.from(wanted));
          }
          expect(bitsOf(stream.fakesym(block, shape, p.nmin, p.nmax, p.inv, p.scale, limit))).toEqual(
            bitsOf(oracle.fakesym(values, shape, p, limit)),
          );
        }
        expect(stream.sym0(block, shape, p.inv)).toEqual(oracle.sym0(values, shape, p));
        expect(bitsOf(stream.fakeasym(block, shape, p.nmin, p.nmax, p.inv, p.scale))).toEqual(
          bitsOf(oracle.fakeasym(values, shape, p)),
        );
      });
    }
  }
});

/** Channels of values between ±`size`, some on one side of zero, with their ranges and the parameters of these. */
function scanned(channels: number, inner: number, size: number, seed: number, symmetric: boolean) {
  const next = generator(seed);
  const random = () => next() / 2 ** 32;
  const values = new Float32Array(channels * inner);
  for (let c = 0; c < channels; c++) {
    const [low, high] = [
      [-1, 1],
      [0, 1],
      [-1, 0],
      [0.5, 0.6],
      [-0.001, 1],
    ][next() % 5]!;
    for (let i = 0; i < inner; i++) values[c * inner + i] = (low! + random() * (high! - low!)) * size;
  }
  const [mins, maxs] = kernels.channels(values, channels, inner, new Float32Array(0), new Float32Array(0));
  const [scale, , nmin, nmax, inv, near] = symmetric
    ? kernels.symparameters(mins, maxs, 32767, 1e-8)
    : kernels.asymparameters(mins, maxs);
  const p = { nmin, nmax, inv, scale };
  return { values, p, near };
}

describe("values near their range", () => {
  const SIZES = [1e-38, 1e-20, 1e-9, 1e-4, 0.003, 0.7, 1, 42, 1e5, 1e20, 1e38, 3e38];

  test.each([false, true])("need no clipping (symmetric: %p)", (symmetric) => {
    let near = 0;
    let ordinary = 0;
    for (let seed = 1; seed <= 60; seed++) {
      for (const size of SIZES) {
        const shape = { channels: 1 + (seed % 4), inner: 1 + ((seed * 7) % 70) };
        const made = scanned(shape.channels, shape.inner, size, seed, symmetric);
        if (size >= 1e-4 && size <= 1e5) {
          ordinary++;
          near += made.near;
        }
        if (made.near === 0) continue;
        const { values, p } = made;
        if (symmetric)
          expect(kernels.symnear(values, shape.channels, shape.inner, p.inv)).toEqual(
            oracle.sym(values, shape, p, 32767),
          );
        else
          expect(kernels.asymnear(values, shape.channels, shape.inner, p.nmin, p.inv)).toEqual(
            oracle.asym(values, shape, p),
          );
      }
    }
    expect(near).toBe(ordinary);
  });

  test("what lies outside by a little is stored as clipping stores it", () => {
    const p = {
      nmin: Float32Array.of(-1),
      nmax: Float32Array.of(1),
      inv: Float32Array.of(127.5),
      scale: Float32Array.of(1 / 127.5),
    };
    const values = Float32Array.from({ length: 40_000 }, (_, i) => (i - 20_000) / 100);
    expect(kernels.asymnear(values, 1, 1, p.nmin, p.inv)).toEqual(oracle.asym(values, { channels: 1, inner: 1 }, p));
  });

  test("ranges that are next to nothing, infinite or not a number are not near", () => {
    const inf = Number.POSITIVE_INFINITY;
    for (const [min, max] of [
      [-3e38, 3e38],
      [0, inf],
      [-inf, 0],
      [Number.NaN, 1],
    ] as const) {
      expect(kernels.asymparameters(Float32Array.of(min), Float32Array.of(max))[5]).toBe(0);
      if (max !== 3e38)
        expect(kernels.symparameters(Float32Array.of(min), Float32Array.of(max), 32767, 1e-8)[5]).toBe(0);
    }
    expect(kernels.symparameters(Float32Array.of(-1), Float32Array.of(1), 127, 1e-5)[5]).toBe(0);
    // One channel that is not near is enough.
    expect(kernels.asymparameters(Float32Array.of(-1, 0), Float32Array.of(1, inf))[5]).toBe(0);
  });
});

describe("channels in one call", () => {
  type Lists = [Float32Array, BigInt64Array, Float32Array, Float32Array, Float32Array];
  const check = (values: Float32Array, shape: oracle.Shape, symmetric: boolean): boolean => {
    const { channels, inner } = shape;
    const [integers, ...rest] = symmetric
      ? kernels.fusedsym(values, channels, inner, 1e-8)
      : kernels.fusedasym(values, channels, inner);
    const lists = rest.slice(0, 5) as Lists;
    const [nans, infinite, near] = rest.slice(5) as [number, number, number];
    const wanted = oracle.channels(values, shape);
    const [mins, maxs] = [new Float32Array(wanted.mins.buffer), new Float32Array(wanted.maxs.buffer)];
    const reaches = [...mins].some((v) => v <= -oracle.FLT_MAX) || [...maxs].some((v) => v >= oracle.FLT_MAX);
    expect({ nans, infinite }).toEqual({ nans: wanted.nans, infinite: Number(reaches) });
    // Such constants are refused; their parameters are none.
    if (nans > 0) expect(near).toBe(0);
    if (nans > 0 || reaches) return false;
    for (let c = 0; c < channels; c++) {
      const rule = parametersOfRange(symmetric ? QUANTIZERS.int16 : QUANTIZERS.uint8, mins[c]!, maxs[c]!);
      expect(lists.map((list) => Number(list[c]))).toEqual([
        ...[rule.scale, rule.zeroPoint, rule.nudgedMin, rule.nudgedMax],
        Math.fround(1 / rule.scale),
      ]);
    }
    if (near === 0) return false;
    const p = { nmin: lists[2], nmax: lists[3], inv: lists[4], scale: lists[0] };
    if (symmetric) expect(integers).toEqual(oracle.sym(values, shape, p, 32767));
    else expect(integers).toEqual(oracle.asym(values, shape, p));
    return true;
  };

  test.each([false, true])("ranges, parameters and integers are the scalar rules (symmetric: %p)", (symmetric) => {
    let near = 0;
    for (let seed = 1; seed <= 80; seed++) {
      for (const size of [1e-38, 1e-9, 0.003, 1, 42, 1e20, 3e38]) {
        const shape = { channels: 1 + (seed % 5), inner: 1 + ((seed * 7) % 70) };
        const { values } = scanned(shape.channels, shape.inner, size, seed, symmetric);
        if (check(values, shape, symmetric) && size >= 0.003 && size <= 42) near++;
      }
    }
    // Where values are as weights are, they are always near.
    expect(near).toBe(80 * 3);
  });

  test.each([false, true])("bits, zeros, ties, infinities, NaN in any channel (symmetric: %p)", (symmetric) => {
    for (const kind of KINDS)
      for (let length = 1; length <= 67; length++)
        for (const channels of [1, 3])
          check(floats(kind, channels * length, length * 5 + channels), { channels, inner: length }, symmetric);
  });

  test("NaN are counted one by one, infinities of both signs are none", () => {
    const values = floats("ordinary", 3 * 200, 9);
    values[201] = Number.POSITIVE_INFINITY;
    values[202] = Number.NEGATIVE_INFINITY;
    expect(check(values, { channels: 3, inner: 200 }, false)).toBe(false);
    values[3] = values[190] = values[403] = Number.NaN;
    check(values, { channels: 3, inner: 200 }, false);
    expect(kernels.fusedasym(values, 3, 200).slice(6)).toEqual([3, 1, 0]);
    expect(kernels.minmax(values).nans).toBe(3);
  });

  test("integers go where they were placed, at any byte, and what comes next does not", () => {
    const values = floats("ordinary", 40, 3);
    const wanted = Uint8Array.from(kernels.fusedasym(values, 2, 20)[0]);
    stream.scoped(() => {
      const room = stream.reserve(100);
      const block = stream.copyIn(values);
      room.bytes().fill(77);
      const lists = {
        scale: new Float32Array(4),
        zeroPoint: new BigInt64Array(4),
        nudgedMin: new Float32Array(4),
        nudgedMax: new Float32Array(4),
      };
      setParameters(
        lists,
        stream.fused(block, { channels: 2, inner: 20 }, QUANTIZERS.uint8, stream.part(room, 3, 40)),
        1,
      );
      expect(Uint8Array.from(room.bytes().slice(3, 43))).toEqual(wanted);
      expect([...room.bytes().slice(0, 3), ...room.bytes().slice(43)]).toEqual(new Array(60).fill(77));
      expect([lists.scale[0], lists.scale[3]]).toEqual([0, 0]);
      expect(lists.scale[1]).toBeGreaterThan(0);
      const p = parameters(2, 1);
      expect(stream.asym(block, { channels: 2, inner: 20 }, p.nmin, p.nmax, p.inv).byteOffset).toBeGreaterThan(
        room.pointer + 100,
      );
    });
  });
});

test("parameters of channels are those of src/rules/arithmetic.ts, bit for bit", () => {
  const bits = (value: number) => [new Uint32Array(Float32Array.of(value).buffer)[0], Object.is(value, -0)];
  const next = generator(77);
  const random = floats("bits", 4000, 5).filter(Number.isFinite);
  const pairs = Array.from({ length: 3000 }, (): [number, number] => {
    const [a, b] = [random[next() % random.length]!, random[next() % random.length]!];
    return [Math.min(a, b), Math.max(a, b)];
  });
  for (const edge of [0, -0, 1e-45, -1e-45, 1e-5, 0.00255, -0.00255, 1, -1, 255, 127.5, 3.4e38, -3.4e38])
    for (const other of [0, -0, 1e-30, -1e-30, 0.5, -0.5, 1e30, -1e30])
      pairs.push([Math.fround(Math.min(edge, other)), Math.fround(Math.max(edge, other))]);
  const [mins, maxs] = [Float32Array.from(pairs, ([min]) => min), Float32Array.from(pairs, ([, max]) => max)];
  const cases = [
    { got: kernels.asymparameters(mins, maxs), quantizer: QUANTIZERS.uint8 },
    ...[QUANTIZERS.int16, QUANTIZERS.int8, QUANTIZERS.int4].map((quantizer) => ({
      got: kernels.symparameters(mins, maxs, quantizer.high, quantizer.smallestScale),
      quantizer,
    })),
  ];
  for (const { got, quantizer } of cases) {
    const [scale, zeroPoint, nudgedMin, nudgedMax, inv] = got;
    for (let i = 0; i < pairs.length; i++) {
      const wanted = parametersOfRange(quantizer, mins[i]!, maxs[i]!);
      const found = [scale[i]!, nudgedMin[i]!, nudgedMax[i]!, inv[i]!];
      expect([...found.map(bits), Number(zeroPoint[i])]).toEqual([
        ...[wanted.scale, wanted.nudgedMin, wanted.nudgedMax, Math.fround(1 / wanted.scale)].map(bits),
        wanted.zeroPoint,
      ]);
    }
  }
});

test("the copying versions give the same and leave no memory behind", () => {
  const values = floats("ordinary", 600, 5);
  const p = parameters(6, 5);
  const shape = { channels: 6, inner: 10 };
  const before = stream.reserve(1).pointer;
  expect(kernels.asym(values, 6, 10, p.nmin, p.nmax, p.inv)).toEqual(oracle.asym(values, shape, p));
  expect(kernels.asym0(values, 6, 10, p.nmin, p.inv)).toEqual(oracle.asym0(values, shape, p));
  expect(kernels.sym(values, 6, 10, p.nmin, p.nmax, p.inv, 127)).toEqual(oracle.sym(values, shape, p, 127));
  expect(kernels.sym0(values, 6, 10, p.inv)).toEqual(oracle.sym0(values, shape, p));
  expect(kernels.fakeasym(values, 6, 10, p.nmin, p.nmax, p.inv, p.scale)).toEqual(oracle.fakeasym(values, shape, p));
  expect(stream.reserve(1).pointer).toBe(before + 16);
  stream.reset();
});

/** Parameters that are no range's: limits of the integers are out of reach, or nothing about them is ordinary. */
function madeUp(channels: number, seed: number): oracle.Parameters {
  const next = generator(seed);
  const { nmin, nmax, scale, inv } = parameters(channels, seed);
  const odd = [0, -0, -1, 1e-45, 3e38, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN];
  for (let c = 0; c < channels; c++) {
    const list = [nmin, nmax, inv, scale][next() % 4]!;
    if (next() % 2) list[c] = odd[next() % odd.length]!;
    else list[c]! *= 0.5;
  }
  return { nmin, nmax, scale, inv };
}

test("parameters may be anything, also where limits no longer do what clipping does", () => {
  for (const [outer, channels, inner] of [
    [1, 1, 1],
    [67, 1, 1],
    [3, 1, 33],
    [40, 3, 1],
    [7, 2, 9],
    [2, 3, 27],
  ] as const) {
    const shape = { channels, inner };
    for (const kind of KINDS) {
      for (let seed = 0; seed < 40; seed++) {
        const values = floats(kind, outer * channels * inner, seed);
        const p = madeUp(channels, seed);
        expect(kernels.asym(values, channels, inner, p.nmin, p.nmax, p.inv)).toEqual(oracle.asym(values, shape, p));
        expect(kernels.asym0(values, channels, inner, p.nmin, p.inv)).toEqual(oracle.asym0(values, shape, p));
        expect(kernels.sym0(values, channels, inner, p.inv)).toEqual(oracle.sym0(values, shape, p));
        const fake = kernels.fakeasym(values, channels, inner, p.nmin, p.nmax, p.inv, p.scale);
        expect(sameOrNan(fake, oracle.fakeasym(values, shape, p))).toBe(true);
        for (const limit of [32767, 127, 7, 0]) {
          const wanted = oracle.sym(values, shape, p, limit);
          expect(kernels.sym(values, channels, inner, p.nmin, p.nmax, p.inv, limit)).toEqual(wanted);
          const fake = kernels.fakesym(values, channels, inner, p.nmin, p.nmax, p.inv, p.scale, limit);
          expect(sameOrNan(fake, oracle.fakesym(values, shape, p, limit))).toBe(true);
        }
      }
    }
  }
});

/** Equal bits, but for those of NaN: arithmetic does not say which NaN it gives. */
function sameOrNan(found: Float32Array, wanted: Float32Array): boolean {
  const [a, b] = [bitsOf(found), bitsOf(wanted)];
  return a.every((bits, i) => bits === b[i] || (Number.isNaN(found[i]) && Number.isNaN(wanted[i])));
}

const propagateTo = (values: Float32Array, inv: number, zeroPoint: number) => {
  expect(kernels.propagatebyte(values, inv, zeroPoint)).toEqual(
    Uint8Array.from(values, (v) => oracle.propagate(v, inv, zeroPoint, 0, 255)),
  );
  expect(kernels.propagateshort(values, inv, zeroPoint)).toEqual(
    Int16Array.from(values, (v) => oracle.propagate(v, inv, zeroPoint, -32767, 32767)),
  );
};

test("propagation multiplies in float64 and adds the zero point after rounding", () => {
  for (const kind of KINDS) {
    for (let length = 0; length <= 67; length++) {
      for (const zeroPoint of [0, 3, 128, 255, -7, 16777217, -2147483648]) {
        const values = floats(kind, length, length * 7 + zeroPoint);
        for (const scale of [1, 0.003, 7.25, 1e-8, 1e10])
          propagateTo(values, Math.fround(1 / Math.fround(scale)), zeroPoint);
      }
    }
  }
});

test("propagation of products that are ties, next to ties, or ties in float32 only", () => {
  const next = generator(21);
  const unit = () => next() / 2 ** 32;
  const word = new Int32Array(1);
  const float = new Float32Array(word.buffer);
  let deceiving = 0;
  for (let round = 0; round < 300; round++) {
    const inv = Math.fround(2 ** ((next() % 20) - 10) * (1 + (round % 3 ? unit() : 0)));
    const zeroPoint = [0, 7, -300, 2 ** 20, -(2 ** 20), 2 ** 20 + 1, -(2 ** 20) - 1, 2 ** 30][next() % 8]!;
    const values = Float32Array.from({ length: 16 + (next() % 50) }, () => {
      if (next() % 3 === 0) return (unit() - 0.5) * 80_000;
      // Around an integer that is within the limits once the zero point is added, one half more, and some floats aside.
      float[0] = (Math.trunc((unit() - 0.5) * (next() % 2 ? 80_000 : 600)) - zeroPoint + 0.5) / inv;
      word[0]! += (next() % 5) - 2;
      return float[0]!;
    });
    deceiving += values.filter((v) => {
      const product = Math.fround(v * inv);
      return product !== v * inv && Math.abs(product % 1) === 0.5;
    }).length;
    propagateTo(values, inv, zeroPoint);
  }
  expect(deceiving).toBeGreaterThan(100);
});

test("biases: scale is the product, overflow goes to the nearer limit and is counted", () => {
  for (const kind of KINDS) {
    for (let length = 0; length <= 20; length++) {
      for (const sin of [1, 0.02, 1e-20, 1e-38, 0]) {
        const values = floats(kind, length, length);
        for (const sw of [parameters(1, length).scale, parameters(length, length).scale]) {
          const short = kernels.bias(values, sin, sw);
          const wanted = oracle.bias(values, Math.fround(sin), sw, 32);
          expect(bitsOf(short[0])).toEqual(bitsOf(wanted.scales));
          expect([Array.from(short[1], BigInt), short[2]]).toEqual([wanted.integers, wanted.overflowed]);
          const long = kernels.biaslong(values, sin, sw);
          const wantedLong = oracle.bias(values, Math.fround(sin), sw, 64);
          expect(bitsOf(long[0])).toEqual(bitsOf(wantedLong.scales));
          expect([Array.from(long[1]), long[2]]).toEqual([wantedLong.integers, wantedLong.overflowed]);
        }
      }
    }
  }
});

test("half is exact for all 65536 patterns", () => {
  const patterns = Uint16Array.from({ length: 65536 }, (_, h) => h);
  expect(bitsOf(kernels.half(patterns))).toEqual(Uint32Array.from(patterns, (h) => oracle.half(h)));
  for (let length = 0; length < 20; length++) {
    expect(bitsOf(kernels.half(patterns.slice(31740, 31740 + length)))).toEqual(
      Uint32Array.from({ length }, (_, i) => oracle.half(31740 + i)),
    );
  }
});

test("half and nibbles at any byte", () => {
  for (const offset of [1, 2, 3, 7]) {
    for (let length = 0; length <= 67; length++) {
      const next = generator(length);
      const bytes = Uint8Array.from({ length: 2 * length }, () => next());
      const halves = new Uint16Array(bytes.buffer);
      stream.scoped(() => {
        const block = stream.part(stream.reserve(bytes.length + offset), offset, bytes.length);
        block.bytes().set(bytes);
        expect(bitsOf(stream.half(block))).toEqual(Uint32Array.from(halves, (h) => oracle.half(h)));
        const pairs = Uint8Array.from({ length }, (_, i) => (bytes[2 * i]! & 15) | ((bytes[2 * i + 1]! & 15) << 4));
        expect(stream.nibbles(block)).toEqual(pairs);
      });
    }
  }
});

test("nibbles: the first of two is low, an odd last one is followed by 0", () => {
  for (let length = 0; length <= 100; length++) {
    const next = generator(length);
    const values = Int8Array.from({ length }, () => next());
    const pairs = Uint8Array.from(
      { length: Math.ceil(length / 2) },
      (_, i) => (values[2 * i]! & 15) | (((values[2 * i + 1] ?? 0) & 15) << 4),
    );
    expect(kernels.nibbles(values)).toEqual(pairs);
  }
  expect([...kernels.nibbles(Int8Array.of(1, -1, -7, 7, 5))]).toEqual([0xf1, 0x79, 0x05]);
  expect([...kernels.nibbles(new Int8Array(0))]).toEqual([]);
});

test("contradicting lengths are refused before a kernel sees them", () => {
  const p = parameters(3, 1);
  expect(() => kernels.asym(new Float32Array(7), 3, 1, p.nmin, p.nmax, p.inv)).toThrow("[outer, 3, 1]");
  expect(() => kernels.asym(new Float32Array(6), 2, 1, p.nmin, p.nmax, p.inv)).toThrow("3 values for 2 channels");
  expect(() => kernels.bias(new Float32Array(4), 1, new Float32Array(3))).toThrow("3 weight scales for 4 values");
  expect(() => kernels.symbyte(new Float32Array(3), 3, 1, p.nmin, p.nmax, p.inv, 128)).toThrow();
});

// 2^32 floats take most of a minute: MINMAXQ_EXHAUSTIVE=1 bun test test/kernels
test.skipIf(process.env.MINMAXQ_EXHAUSTIVE !== "1")(
  "rounding is C's for every float",
  () => {
    const one = Float32Array.of(1);
    const low = Float32Array.of(Number.NEGATIVE_INFINITY);
    const high = Float32Array.of(Number.POSITIVE_INFINITY);
    const count = 2 ** 20;
    const bits = new Uint32Array(count);
    const values = new Float32Array(bits.buffer);
    for (let start = 0; start < 2 ** 32; start += count) {
      for (let i = 0; i < count; i++) bits[i] = start + i;
      const found = kernels.sym(values, 1, 1, low, high, one, 32767);
      for (let i = 0; i < count; i++) {
        const v = values[i]!;
        const whole = Math.trunc(v);
        const rounded = Math.abs(v - whole) >= 0.5 ? whole + Math.sign(v) : whole;
        const wanted = v > 32767 ? 32767 : v < -32767 ? -32767 : Number.isNaN(v) ? 0 : rounded;
        if (found[i] !== wanted + 0) throw new Error(`${v} was rounded to ${found[i]}`);
      }
    }
  },
  600_000,
);
