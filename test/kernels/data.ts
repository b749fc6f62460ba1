/** Values that kernels get wrong, and parameters for them. */
import { FLT_MAX, generator, type Parameters } from "./oracle.ts";

const f32 = Math.fround;

const SPECIAL = [
  ...[0, -0, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 254.5, 255.5, 126.5, 127.5, 32766.5, -32766.5, 32767.5, -32767.5],
  ...[
    0.49999997, -0.49999997, 1.4999999, 8388607.5, -8388607.5, 8388608, 16777216, 4194303.75, 2147483648, -2147483648,
  ],
  ...[2147483520, 4294967296, 2 ** 63, -(2 ** 63), 1e30, -1e30, FLT_MAX, -FLT_MAX],
  ...[Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 1e-45, -1e-45, 1.1754944e-38, -1.1754942e-38],
];

export type Kind = "bits" | "ordinary" | "ties" | "special" | "zeros" | "positive" | "negative" | "infinite" | "nan";
export const KINDS: Kind[] = [
  "bits",
  "ordinary",
  "ties",
  "special",
  "zeros",
  "positive",
  "negative",
  "infinite",
  "nan",
];

/** `length` floats of a kind. */
export function floats(kind: Kind, length: number, seed: number): Float32Array<ArrayBuffer> {
  const next = generator(seed);
  const result = new Float32Array(length);
  const bits = new Uint32Array(result.buffer);
  const unit = (): number => next() / 2 ** 32;
  for (let i = 0; i < length; i++) {
    if (kind === "bits") bits[i] = next();
    else if (kind === "ordinary") result[i] = (unit() - 0.5) * 8;
    else if (kind === "ties") result[i] = Math.round((unit() - 0.5) * 600) / 2;
    else if (kind === "special") result[i] = SPECIAL[next() % SPECIAL.length]!;
    else if (kind === "zeros") bits[i] = next() % 2 ? 0 : 0x80000000;
    else if (kind === "positive") result[i] = next() % 3 ? unit() : next() % 2 ? 0 : -0;
    else if (kind === "negative") result[i] = next() % 3 ? -unit() : next() % 2 ? 0 : -0;
    else if (kind === "infinite") result[i] = next() % 2 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
    else bits[i] = next() % 4 ? 0x7f800001 + (next() % 1000) : 0x3f800000;
  }
  return result;
}

/** Parameters of `channels` channels: scales of all sizes; every third channel has scale 1, so that ties are ties. */
export function parameters(channels: number, seed: number): Parameters {
  const next = generator(seed ^ 0x5bd1e995);
  const scale = new Float32Array(channels);
  const nmin = new Float32Array(channels);
  const nmax = new Float32Array(channels);
  for (let c = 0; c < channels; c++) {
    const zeroPoint = next() % 256;
    scale[c] = (next() + c) % 3 === 0 ? 1 : 2 ** ((next() % 40) - 30) * (1 + next() / 2 ** 32);
    nmin[c] = f32(-zeroPoint * scale[c]!);
    nmax[c] = f32((255 - zeroPoint) * scale[c]!);
  }
  return { nmin, nmax, scale, inv: Float32Array.from(scale, (s) => f32(1 / s)) };
}

/** Bits of the elements, for comparisons that see -0 and NaN payloads. */
export function bitsOf(values: Float32Array | number): Uint32Array<ArrayBuffer> {
  const list = typeof values === "number" ? Float32Array.of(values) : new Float32Array(values);
  return new Uint32Array(list.buffer, list.byteOffset, list.length);
}
