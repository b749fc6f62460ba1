/**
 * What quantization should give, naive and straight from docs/reference.md (§3). Nothing here is shared with src/.
 *
 * Elements go through the kernels' own oracle (test/kernels/oracle.ts), which is as naive and as independent.
 */
import { asym, bias as biasOf, type Parameters, propagate, sym } from "../kernels/oracle.ts";

export const f32 = Math.fround;

/** C's round on a double, by its bits: mantissa × 2^exponent as integers, half up in magnitude. Exact everywhere. */
export function exactRound(x: number): number {
  if (!Number.isFinite(x) || x === 0) return x;
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, Math.abs(x));
  const word = bits.getBigUint64(0);
  const field = Number(word >> 52n);
  const mantissa = (word & (2n ** 52n - 1n)) + (field === 0 ? 0n : 2n ** 52n);
  const exponent = Math.max(field, 1) - 1075;
  if (exponent >= 0) return x;
  const unit = 2n ** BigInt(-exponent);
  const magnitude = Number((2n * mantissa + unit) / (2n * unit));
  return x < 0 ? -magnitude : magnitude;
}

export interface Scaled {
  scale: number;
  zeroPoint: number;
  nudgedMin: number;
  nudgedMax: number;
}

/** §3.2, line by line. */
export function asymmetricOf(min: number, max: number): Scaled {
  const rmin = Math.min(0, min);
  const rmax = Math.max(0, max);
  let s = (rmax - rmin) / 255.0;
  let zp: number;
  if (min >= 0) {
    zp = 0;
    s = max / 255.0;
  } else if (max < 0) {
    zp = 255;
    s = -min / 255.0;
  } else {
    zp = f32(exactRound(0.0 - rmin / s));
  }
  if (s < 1e-5) {
    s = 1e-5;
    zp = f32(exactRound(0.0 - rmin / 1e-5));
  }
  return { scale: f32(s), zeroPoint: zp, nudgedMin: f32(-zp * s), nudgedMax: f32((255.0 - zp) * s) };
}

/** §3.3, line by line. */
export function symmetricOf(min: number, max: number, limit = 32767): Scaled {
  const rmin = Math.min(0, min);
  const rmax = Math.max(0, max);
  const a = rmin < 0 ? rmin / -limit : 0;
  const b = rmax > 0 ? rmax / limit : 0;
  let scale = f32(Math.max(a, b));
  const least = f32(limit === 32767 ? 1e-8 : 1e-5);
  if (scale < least) scale = least;
  return { scale, zeroPoint: 0, nudgedMin: f32(-limit * scale), nudgedMax: f32(limit * scale) };
}

export type Quantized = "UINT8" | "INT16";

export const scaledOf = (dtype: Quantized, min: number, max: number): Scaled =>
  dtype === "UINT8" ? asymmetricOf(min, max) : symmetricOf(min, max);

/** What a tensor of the quantized model should look like. */
export interface Expected {
  dtype: string;
  /** f32 bits, as hexadecimal. */
  scale: string[];
  zeroPoint: number[];
  axis: number;
  values?: (number | bigint)[];
}

export const hex = (x: number): string => new Uint32Array(Float32Array.of(x).buffer)[0]!.toString(16).padStart(8, "0");

/** One scale and zero point. */
export function perTensor(dtype: string, scale: number, zeroPoint: number): Expected {
  return { dtype, scale: [hex(scale)], zeroPoint: [zeroPoint], axis: 0 };
}

export function fromRange(dtype: Quantized, [min, max]: readonly [number, number]): Expected {
  const { scale, zeroPoint } = scaledOf(dtype, min, max);
  return perTensor(dtype, scale, zeroPoint);
}

/** §3.8. */
export function predefinedOf(kind: string, dtype: Quantized): Expected {
  const table: Record<string, Record<Quantized, [number, number]>> = {
    logistic: { UINT8: [f32(1 / 256), 0], INT16: [f32(1 / 32768), 0] },
    tanh: { UINT8: [f32(2 / 256), 128], INT16: [f32(1 / 32768), 0] },
    softmax: { UINT8: [f32(1 / 255), 0], INT16: [f32(1 / 32767), 0] },
  };
  return perTensor(dtype, ...table[kind]![dtype]);
}

/** §3.8, IntScale: the zero point is that of the old scale. */
export function integerScaleOf(dtype: Quantized, [min, max]: readonly [number, number]): Expected {
  const { scale, zeroPoint } = scaledOf(dtype, min, max);
  return perTensor(dtype, scale < 1 ? 1 : exactRound(scale), zeroPoint);
}

function rangeOf(values: readonly number[]): [number, number] {
  let min = 3.4028234663852886e38;
  let max = -3.4028234663852886e38;
  for (const v of values) {
    if (v < min) min = v;
    if (v > max) max = v;
  }
  return [min, max];
}

function parameters(scaled: readonly Scaled[]): Parameters {
  return {
    nmin: Float32Array.from(scaled, (s) => s.nudgedMin),
    nmax: Float32Array.from(scaled, (s) => s.nudgedMax),
    scale: Float32Array.from(scaled, (s) => s.scale),
    inv: Float32Array.from(scaled, (s) => f32(1 / s.scale)),
  };
}

function encode(dtype: Quantized, values: Float32Array, channels: number, inner: number, scaled: Scaled[]) {
  const shape = { channels, inner };
  const p = parameters(scaled);
  return dtype === "UINT8" ? asym(values, shape, p) : sym(values, shape, p, 32767);
}

/** §3.7: a constant by its own values, QA or QS. */
export function byOwnValues(dtype: Quantized, values: Float32Array): Expected {
  const one = scaledOf(dtype, ...rangeOf([...values]));
  return {
    ...perTensor(dtype, one.scale, one.zeroPoint),
    values: [...encode(dtype, values, 1, values.length, [one])],
  };
}

/** §3.4 QP: a constant by a neighbour's parameters. */
export function byParameters(dtype: Quantized, values: Float32Array, scale: number, zeroPoint: number): Expected {
  const [low, high] = dtype === "UINT8" ? [0, 255] : [-32767, 32767];
  const inv = f32(1 / scale);
  return {
    ...perTensor(dtype, scale, zeroPoint),
    values: [...values].map((v) => propagate(v, inv, zeroPoint, low, high)),
  };
}

/** §3.5.2 without recorded parameters: weights along `axis`, or the whole tensor as uint8. */
export function weightsOf(
  dtype: Quantized,
  granularity: "layer" | "channel",
  values: Float32Array,
  shape: readonly number[],
  axis: number,
): Expected {
  if (granularity === "layer") return byOwnValues("UINT8", values);
  const product = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);
  const inner = product(shape.slice(axis + 1));
  const channels = shape[axis]!;
  const scaled = Array.from({ length: channels }, (_, c) =>
    scaledOf(dtype, ...rangeOf([...values].filter((_, i) => Math.floor(i / inner) % channels === c))),
  );
  return {
    dtype,
    scale: scaled.map(({ scale }) => hex(scale)),
    zeroPoint: scaled.map(({ zeroPoint }) => zeroPoint),
    axis,
    values: [...encode(dtype, values, channels, inner, scaled)],
  };
}

/** §3.5.3: gamma, beta, alpha; a rank-1 tensor. */
export function unitsOf(dtype: Quantized, granularity: "layer" | "channel", values: Float32Array): Expected {
  if (granularity === "layer") return byOwnValues(dtype, values);
  const negative = (v: number): [number, number, number] => (dtype === "UINT8" ? [-v, 1, 0] : [-v, 0, -1]);
  const units = [...values].map((v) => (v >= 0 ? ([v, 0, 1] as const) : negative(v)));
  return {
    dtype,
    scale: units.map(([scale]) => hex(scale)),
    zeroPoint: units.map(([, zeroPoint]) => zeroPoint),
    axis: 0,
    values: units.map(([, , q]) => q),
  };
}

/** §3.6; a rank-1 bias. Scales are given as bits. */
export function biasFor(
  dtype: Quantized,
  granularity: "layer" | "channel",
  values: Float32Array,
  inputScale: string,
  weightScales: readonly string[],
): Expected {
  const number = (bits: string) => new Float32Array(Uint32Array.of(Number.parseInt(bits, 16)).buffer)[0]!;
  const wide = dtype === "INT16" && granularity === "channel";
  const sw = Float32Array.from(weightScales, number);
  const { scales, integers } = biasOf(values, number(inputScale), sw, wide ? 64 : 32);
  return {
    dtype: wide ? "INT64" : "INT32",
    scale: [...scales].map(hex),
    zeroPoint: [...scales].map(() => 0),
    axis: 0,
    values: wide ? integers : integers.map(Number),
  };
}
