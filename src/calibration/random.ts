/**
 * Made-up records: `random`, `random:N`, `random:N:SEED` (N defaults to 3 as in the reference §7.2, SEED to 0).
 *
 * FLOAT32 uniform in [-5, 5), INT32 and INT64 uniform in 0…100 inclusive, BOOL 0 or 1 (reference §7.2); integers of 8 and
 * 16 bits over their whole range (ours). The values are ours, not the reference's: those depend on its C++ library. They depend on
 * nothing but SEED: the generator is xoshiro128** 1.1 (Blackman, Vigna), its state filled by splitmix32 from SEED, one stream
 * over all inputs of all records in order. Same SEED, same bytes, on every machine.
 */
import { UsageError } from "../base/errors.ts";
import { counted } from "../base/text.ts";
import { byteLength, type DataSet, elementCount, type InputSpec, inputText } from "./inputs.ts";
import { throwAll } from "./problems.ts";

const DEFAULT_COUNT = 3;
const DEFAULT_SEED = 0;

export function openRandom(location: string, inputs: readonly InputSpec[]): DataSet {
  const match = /^random(?::(\d+)(?::(\d+))?)?$/.exec(location);
  if (match === null) {
    throw new UsageError(
      `"${location}": made-up data are asked for by random, random:COUNT or random:COUNT:SEED, e.g. random:16:1`,
    );
  }
  const count = Number(match[1] ?? DEFAULT_COUNT);
  const seed = Number(match[2] ?? DEFAULT_SEED);
  if (!Number.isSafeInteger(count) || seed > 0xffffffff) {
    throw new UsageError(`"${location}": COUNT or SEED is too large (SEED is at most ${0xffffffff})`);
  }
  throwAll(
    inputs
      .filter((input) => FILL[input.dtype] === undefined)
      .map(
        (input) => `${inputText(input)}: random data are made for ${Object.keys(FILL).join(", ")} only; give real data`,
      ),
    "no random data can be made",
    "random data",
  );
  return {
    description: `random data (${counted(count, "record")}, seed ${seed})`,
    count,
    random: true,
    async *records() {
      const next = xoshiro128(seed);
      for (let record = 0; record < count; record++) {
        yield inputs.map((input) => {
          const bytes = new Uint8Array(byteLength(input));
          FILL[input.dtype]!(bytes, elementCount(input.shape), next);
          return bytes;
        });
      }
    },
    close() {},
  };
}

/** Uniform in 0 … 2^32 − 1. */
type Generator32 = () => number;

/** A row a type: fills `count` elements. DataView, because records are little-endian on every machine. */
const FILL: Readonly<Record<string, (bytes: Uint8Array, count: number, next: Generator32) => void>> = {
  FLOAT32: (bytes, count, next) => {
    const view = new DataView(bytes.buffer);
    // 24 bits are what a float32 holds, so -5 + 10·k/2^24 stays below 5 after rounding too.
    for (let i = 0; i < count; i++) view.setFloat32(4 * i, ((next() >>> 8) / 0x1000000) * 10 - 5, true);
  },
  INT32: (bytes, count, next) => {
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < count; i++) view.setInt32(4 * i, upTo100(next), true);
  },
  INT64: (bytes, count, next) => {
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < count; i++) view.setBigInt64(8 * i, BigInt(upTo100(next)), true);
  },
  BOOL: (bytes, count, next) => {
    for (let i = 0; i < count; i++) bytes[i] = next() >>> 31;
  },
  UINT8: anyBytes,
  INT8: anyBytes,
  INT16: anyBytes,
  UINT16: anyBytes,
};

function upTo100(next: Generator32): number {
  return Math.floor((next() / 0x100000000) * 101);
}

function anyBytes(bytes: Uint8Array, _count: number, next: Generator32): void {
  for (let i = 0; i < bytes.length; i++) bytes[i] = next() >>> 24;
}

/** Seeded xoshiro128** 1.1, https://prng.di.unimi.it/xoshiro128starstar.c */
export function xoshiro128(seed: number): Generator32 {
  let mix = seed >>> 0;
  const splitmix = (): number => {
    mix = (mix + 0x9e3779b9) >>> 0;
    let z = mix;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) >>> 0;
  };
  return xoshiro128From(splitmix(), splitmix(), splitmix(), splitmix());
}

/** The generator in a given state. */
export function xoshiro128From(a: number, b: number, c: number, d: number): Generator32 {
  return () => {
    const scrambled = Math.imul(b, 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = (d << 11) | (d >>> 21);
    return result;
  };
}
