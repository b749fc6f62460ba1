/**
 * SCHEMES as rows: what quantization means for activations, weights and biases. Passes ask rows instead of comparing dtypes, so a new
 * scheme is one row here.
 *
 * A *quantizer* says how values become integers. A *scheme* says which quantizer the values of each role get. Rows are plain data: they
 * are sent to Workers as they are.
 */
import { namesOf } from "../base/text.ts";
import type { Dialect } from "../model/index.ts";
import type { Dtype } from "../model/tensor-types.ts";
import { asymmetric, type ScaleAndZeroPoint, symmetric } from "./arithmetic.ts";

/** `layer` is ONE's word for "per tensor": one scale and zero point. `channel`: one for each channel. */
export type Granularity = "layer" | "channel";

/** Whose rules a scheme follows: those of ONE's quantizer, or those of LiteRT's kernels. */
export type Family = "one" | "litert";

/** How float32 values become integers. */
export interface Quantizer {
  readonly dtype: Dtype;
  readonly bits: number;
  /** Zero point 0; else it is chosen so that 0.0 is exact. */
  readonly symmetric: boolean;
  /** Least and largest integer that is used; symmetric quantizers are narrow: −high..high. */
  readonly low: number;
  readonly high: number;
  /** No scale is smaller (§3.2, §3.3). */
  readonly smallestScale: number;
}

/** Functions whose result has a range of its own. */
export type PredefinedKind = "logistic" | "tanh" | "softmax";

export interface FixedParameters {
  /** f32. */
  readonly scale: number;
  readonly zeroPoint: number;
}

/** A quantizer of activations, and the parameters that results of certain functions always have (§3.8). */
export interface ActivationQuantizer extends Quantizer {
  readonly fixed: Readonly<Record<PredefinedKind, FixedParameters>>;
}

export interface Scheme {
  /** As people write it: "uint8". */
  readonly name: string;
  readonly family: Family;
  readonly activation: ActivationQuantizer;
  /** Activations with zero point 0, where they may be asked for instead: some NPUs take no others. */
  readonly symmetricActivation?: ActivationQuantizer;
  readonly weights: Readonly<Record<Granularity, Quantizer>>;
  readonly bias: Readonly<Record<Granularity, Dtype>>;
  /** Largest integer of a bias; where one is larger, its channel's weights get a larger scale. Absent: it is set to the dtype's limit, as in ONE. */
  readonly biasLimit?: number;
  /** Granularities that people may ask for. */
  readonly granularities: readonly Granularity[];
  /** What a runtime takes beside that, where its files are checked; absent: a file has exactly what the row says. */
  readonly accepts?: Accepted;
}

/** What files of other quantizers may have. */
export interface Accepted {
  readonly weights: readonly Dtype[];
  readonly bias: readonly Dtype[];
  /** Zero point of weights per channel, where they are symmetric. */
  readonly symmetricAt: number;
  /** So many result scales a bias scale may be off its input scale × weight scale, per tensor. */
  readonly biasShare: number;
}

const f32 = Math.fround;

export const QUANTIZERS = {
  uint8: { dtype: "UINT8", bits: 8, symmetric: false, low: 0, high: 255, smallestScale: 1e-5 },
  int16: { dtype: "INT16", bits: 16, symmetric: true, low: -32767, high: 32767, smallestScale: 1e-8 },
  int8: { dtype: "INT8", bits: 8, symmetric: true, low: -127, high: 127, smallestScale: 1e-5 },
  int4: { dtype: "INT4", bits: 4, symmetric: true, low: -7, high: 7, smallestScale: 1e-5 },
} as const satisfies Record<string, Quantizer>;

/** ONE's activations. */
const UINT8: ActivationQuantizer = {
  ...QUANTIZERS.uint8,
  fixed: {
    logistic: { scale: 1 / 256, zeroPoint: 0 },
    tanh: { scale: 2 / 256, zeroPoint: 128 },
    softmax: { scale: f32(1 / 255), zeroPoint: 0 },
  },
};
const INT16: ActivationQuantizer = {
  ...QUANTIZERS.int16,
  fixed: {
    logistic: { scale: 1 / 32768, zeroPoint: 0 },
    tanh: { scale: 1 / 32768, zeroPoint: 0 },
    softmax: { scale: f32(1 / 32767), zeroPoint: 0 },
  },
};

const ONES = {
  uint8: {
    name: "uint8",
    family: "one",
    activation: UINT8,
    weights: { layer: QUANTIZERS.uint8, channel: QUANTIZERS.uint8 },
    bias: { layer: "INT32", channel: "INT32" },
    granularities: ["channel", "layer"],
  },
  int16: {
    name: "int16",
    family: "one",
    activation: INT16,
    // Per tensor ONE knows uint8 weights and INT32 biases only (§3.5.2, §3.6).
    weights: { layer: QUANTIZERS.uint8, channel: QUANTIZERS.int16 },
    bias: { layer: "INT32", channel: "INT64" },
    granularities: ["channel"],
  },
} as const satisfies Record<string, Scheme>;

/** LiteRT's activations; its kernels want exactly these parameters of the functions. */
const LITERT_UINT8: ActivationQuantizer = {
  ...QUANTIZERS.uint8,
  fixed: {
    logistic: { scale: 1 / 256, zeroPoint: 0 },
    tanh: { scale: 1 / 128, zeroPoint: 128 },
    softmax: { scale: 1 / 256, zeroPoint: 0 },
  },
};
/**
 * No tensor may have scale 0: delegates refuse the whole model. And 6 steps of a fused RELU6 have to fit 32 bits in every scale, or kernels do
 * not prepare (no_integer_overflow_from_quantization).
 */
const LEAST_STEP = 1e-8;

const LITERT_INT8: ActivationQuantizer = {
  dtype: "INT8",
  bits: 8,
  symmetric: false,
  low: -128,
  high: 127,
  smallestScale: LEAST_STEP,
  fixed: {
    logistic: { scale: 1 / 256, zeroPoint: -128 },
    tanh: { scale: 1 / 128, zeroPoint: 0 },
    softmax: { scale: 1 / 256, zeroPoint: -128 },
  },
};
const LITERT_INT16: ActivationQuantizer = {
  ...QUANTIZERS.int16,
  smallestScale: LEAST_STEP,
  fixed: {
    logistic: { scale: 1 / 32768, zeroPoint: 0 },
    tanh: { scale: 1 / 32768, zeroPoint: 0 },
    softmax: { scale: 1 / 32768, zeroPoint: 0 },
  },
};

/** No channel counts as narrower than this (litert-quantizer), so the scale of zeros is a normal float: runtimes refuse others. */
const LEAST_BOUND = 1e-9;

/** LiteRT's weights: symmetric, narrow, zero point 0. The scale of a channel of zeros is 1e-9 / high. */
const litertWeights = (dtype: Dtype, bits: number): Quantizer => {
  const high = 2 ** (bits - 1) - 1;
  return { dtype, bits, symmetric: true, low: -high, high, smallestScale: LEAST_BOUND / high };
};
const W8 = litertWeights("INT8", 8);
const W4 = litertWeights("INT4", 4);
const W2 = litertWeights("INT2", 2);

/** Of convolutions per tensor, LiteRT's kernels: |input × weights − bias| ≤ 0.02 · result. */
const BIAS_SHARE = 0.02;

/**
 * LiteRT's schemes. Sources: TFLite's quantization specification, and the kernels' own checks.
 */
const LITERT_SCHEMES = {
  int8: {
    name: "int8",
    family: "litert",
    activation: LITERT_INT8,
    symmetricActivation: { ...LITERT_INT8, symmetric: true, low: -127 },
    weights: { layer: W8, channel: W8 },
    bias: { layer: "INT32", channel: "INT32" },
    // Half of what fits, as TFLite's converter: the accumulator adds products to it.
    biasLimit: (2 ** 31 - 1) / 2,
    granularities: ["channel", "layer"],
    accepts: { weights: ["INT4"], bias: [], symmetricAt: 0, biasShare: BIAS_SHARE },
  },
  int16x8: {
    name: "int16x8",
    family: "litert",
    activation: LITERT_INT16,
    weights: { layer: W8, channel: W8 },
    bias: { layer: "INT64", channel: "INT64" },
    // NPU compilers take biases of 40 bits.
    biasLimit: 2 ** 39,
    granularities: ["channel", "layer"],
    accepts: { weights: ["INT4"], bias: ["INT32"], symmetricAt: 0, biasShare: BIAS_SHARE },
  },
} as const satisfies Record<string, Scheme>;

/**
 * A scheme that `verify` knows and `quantize` does not make: the old per-tensor scheme, or int8 whose values and zero points were moved by
 * 128 (`requantize`). Inputs and outputs of int8 models may have it.
 */
const OLD_SCHEMES = {
  uint8: {
    name: "uint8",
    family: "litert",
    activation: LITERT_UINT8,
    weights: { layer: QUANTIZERS.uint8, channel: QUANTIZERS.uint8 },
    bias: { layer: "INT32", channel: "INT32" },
    granularities: ["layer"],
    accepts: { weights: [], bias: [], symmetricAt: 128, biasShare: BIAS_SHARE },
  },
} as const satisfies Record<string, Scheme>;

/** What `quantize` can make of samples or ranges, by the name that people write. */
export const SCHEMES = { ...ONES, ...LITERT_SCHEMES } as const satisfies Record<string, Scheme>;

const ALL_SCHEMES: readonly Scheme[] = [...Object.values<Scheme>(SCHEMES), ...Object.values<Scheme>(OLD_SCHEMES)];

/** Families whose kernels compute what rows of the operator table say and nothing else. ONE quantizes what it has a rule for. */
export const NEEDS_KERNEL: Readonly<Record<Family, boolean>> = { one: false, litert: true };

/** Whose rules a scheme follows, for people. */
export const FAMILIES: Readonly<Record<Family, string>> = { one: "ONE", litert: "LiteRT" };

/** All schemes whose activations have a dtype, ONE's first. */
export function schemesWith(dtype: Dtype): Scheme[] {
  return ALL_SCHEMES.filter((scheme) => scheme.activation.dtype === dtype);
}

/**
 * The next scheme with more bits for a layer with activations of a dtype, of the same family; undefined where there is none, so that only
 * float32 is left. Where two families have the dtype, the format tells.
 */
export function finerScheme(dtype: Dtype, dialect: Dialect): Scheme | undefined {
  const own = schemesWith(dtype);
  const usual = DEFAULT_SCHEMES[dialect].family;
  const from = own.find(({ family }) => family === usual) ?? own[0];
  if (!from) return undefined;
  const finer = Object.values<Scheme>(SCHEMES).filter(
    ({ family, activation }) => family === from.family && activation.bits > from.activation.bits,
  );
  return finer.sort((a, b) => a.activation.bits - b.activation.bits)[0];
}

export type SchemeName = keyof typeof SCHEMES;

/** What is meant where no scheme is asked for, by the format that is written: what its runtime takes. */
export const DEFAULT_SCHEMES: Readonly<Record<Dialect, Scheme>> = { circle: SCHEMES.uint8, tflite: SCHEMES.int8 };

/** What is meant where no format is written: per channel. */
export const DEFAULT_SCHEME: { readonly scheme: Scheme; readonly granularity: Granularity } = {
  scheme: SCHEMES.uint8,
  granularity: "channel",
};

/** Names of schemes that samples or ranges are needed for. */
export const SCHEME_NAMES = namesOf(SCHEMES);

/** Names of ONE's schemes, which are what `--dtype` takes. */
export const ONE_SCHEMES = namesOf(ONES);

/** Weights that are quantized alone (§5.4), by the name that people write. */
export const WEIGHT_QUANTIZERS = {
  int4: QUANTIZERS.int4,
  int8: QUANTIZERS.int8,
  int16: QUANTIZERS.int16,
} as const satisfies Record<string, Quantizer>;

/** Names of a family's schemes, for people: "int8, int16x8". */
export function schemesOf(family: Family): string {
  const rows = Object.values<Scheme>(SCHEMES).filter((scheme) => scheme.family === family);
  return rows.map(({ name }) => name).join(", ");
}

/** The scheme of a name, for texts that were checked already. */
export function schemeNamed(name: string): Scheme {
  const scheme = (SCHEMES as Readonly<Record<string, Scheme>>)[name];
  if (!scheme) throw new Error(`there is no scheme "${name}"`);
  return scheme;
}

/** The quantizer that activations of a dtype have in a family; undefined for dtypes that are no activations there. */
export function activationOf(family: Family, dtype: Dtype): ActivationQuantizer | undefined {
  return schemeWith(family, dtype)?.activation;
}

/** The scheme of a family whose activations have a dtype: what the file of a quantized model says of itself. */
export function schemeWith(family: Family, dtype: Dtype): Scheme | undefined {
  return ALL_SCHEMES.find((scheme) => scheme.family === family && scheme.activation.dtype === dtype);
}

/** dtypes of a family's activations, in the order of the rows. */
export function activationDtypes(family: Family): Dtype[] {
  const rows = ALL_SCHEMES.filter((scheme) => scheme.family === family);
  return [...new Set(rows.map(({ activation }) => activation.dtype))];
}

/** A text that two quantizers share if and only if they make the same integers of the same values. */
export function quantizerKey({ dtype, symmetric, low, high, smallestScale }: Quantizer): string {
  return `${dtype} ${symmetric ? "symmetric" : "asymmetric"} ${low}..${high} ${smallestScale}`;
}

/** Scale, zero point and representable range of a range (f32). */
export function parametersOfRange(quantizer: Quantizer, min: number, max: number): ScaleAndZeroPoint {
  if (quantizer.symmetric) return symmetric(min, max, quantizer.high, quantizer.smallestScale);
  const { zeroPoint, ...rest } = asymmetric(min, max, quantizer.high - quantizer.low, quantizer.smallestScale);
  return { ...rest, zeroPoint: zeroPoint + quantizer.low };
}

/** The range that parameters of a quantizer stand for, f32: from its least integer to its largest. */
export function rangeOfParameters({ low, high }: Quantizer, scale: number, zeroPoint: number): [number, number] {
  return [f32(scale * (low - zeroPoint)), f32(scale * (high - zeroPoint))];
}

/** Sizes of blocks that runtimes take. */
export const BLOCK_SIZES = [32, 64, 128, 256] as const;
export type BlockSize = (typeof BLOCK_SIZES)[number];

/**
 * A scheme of weights alone: activations stay float, so it needs no samples.
 * - `dynamic`: the float operator's own kernel takes the integers, rounds its activations while it runs, and computes in integers.
 * - `weights`: a DEQUANTIZE stands before the float operator.
 */
export interface WeightScheme {
  /** As people write it. */
  readonly name: string;
  readonly kind: "dynamic" | "weights";
  /** What weights become: the first that the operator takes. None: float16. */
  readonly quantizers: readonly Quantizer[];
  /** Blocks may have scales of their own, where the first quantizer is taken. */
  readonly inBlocks?: true;
}

export const WEIGHT_SCHEMES = {
  "dynamic-int8": { name: "dynamic-int8", kind: "dynamic", quantizers: [W8] },
  "dynamic-int4": { name: "dynamic-int4", kind: "dynamic", quantizers: [W4, W8], inBlocks: true },
  "dynamic-int2": { name: "dynamic-int2", kind: "dynamic", quantizers: [W2, W8] },
  "weights-int8": { name: "weights-int8", kind: "weights", quantizers: [W8] },
  "weights-int4": { name: "weights-int4", kind: "weights", quantizers: [W4] },
  "weights-float16": { name: "weights-float16", kind: "weights", quantizers: [] },
} as const satisfies Record<string, WeightScheme>;

export type WeightSchemeName = keyof typeof WEIGHT_SCHEMES;

/** The scheme of weights alone of a name; undefined for other names. */
export function weightSchemeNamed(name: string): WeightScheme | undefined {
  return (WEIGHT_SCHEMES as Readonly<Record<string, WeightScheme>>)[name];
}

/** Names of those with the same kernels, for people: "weights-int8, weights-int4, weights-float16". */
export function weightSchemesOf(kind: WeightScheme["kind"]): string {
  const rows = Object.values<WeightScheme>(WEIGHT_SCHEMES).filter((scheme) => scheme.kind === kind);
  return rows.map(({ name }) => name).join(", ");
}

/** Their names, as `--scheme` takes them. */
export const WEIGHT_SCHEME_NAMES = namesOf(WEIGHT_SCHEMES);
