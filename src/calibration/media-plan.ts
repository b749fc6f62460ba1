/**
 * How pictures and sounds become an input's values: from what the options say, else the model's metadata. Nothing is guessed: where neither
 * tells what numbers a float input wants, that is an error.
 *
 *     value = ((low + byte · (high − low) / 255) − mean) / std        --scale low..high (0..255 where only mean or std are given), --mean, --std
 *
 * in double, then rounded once to the input's type. An integer input with a scale gets round(value / scale) + zero point, halves away from 0. Where
 * nothing is said, it gets the byte itself (uint8, int32) or the byte less 128 (int8): its scale was made for the values that these stand for.
 */
import { MinmaxqError, UsageError } from "../base/errors.ts";
import type { Channels, Fitting } from "../media/resize.ts";
import type { StatedInput } from "../model/index.ts";
import { type InputSpec, inputText, patternOf } from "./inputs.ts";

/** What the options say; absent is not said. */
export interface MediaSettings {
  readonly scale?: readonly [low: number, high: number];
  /** One number, or one per channel in the order that the model sees. */
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  readonly resize?: Fitting;
  readonly channels?: Channels;
  /** Leave out files that cannot be used. */
  readonly skipBad?: boolean;
}

/** What is known of an input beside its name and shape. */
export interface KnownInput extends StatedInput {
  /** The model scales it itself (scaled-inputs.ts). */
  readonly scaled?: boolean;
}

export type Values = Float32Array | Uint8Array | Int8Array | Int16Array | Int32Array;

export interface PicturePlan {
  readonly planar: boolean;
  /** Channels of the input: 1 or 3. */
  readonly count: number;
  readonly channels: Channels;
  readonly resize: Fitting;
  /** Undefined where the model leaves it open: then it is the picture's own. */
  readonly height?: number;
  readonly width?: number;
  /** The input's value of each byte, by channel. */
  readonly tables: readonly Values[];
  /** "0…1 (the model's metadata: mean 0, std 255)". */
  readonly by: string;
}

/** Where height, width and channels are in a shape: axes; undefined where a picture cannot be that. */
export function pictureAxes(
  pattern: readonly number[],
): { height: number; width: number; planar: boolean } | undefined {
  const first = pattern.length - 3;
  const isChannels = (dim: number | undefined) => dim === 1 || dim === 3;
  const inside = first === 0 || (first === 1 && pattern[0] === 1);
  const found = !inside
    ? pattern.length === 2
      ? { height: 0, width: 1, planar: false }
      : undefined
    : isChannels(pattern.at(-1))
      ? { height: first, width: first + 1, planar: false }
      : isChannels(pattern[first])
        ? { height: first + 1, width: first + 2, planar: true }
        : undefined;
  // A row of numbers is none.
  return found && pattern[found.height] !== 1 && pattern[found.width] !== 1 ? found : undefined;
}

/** The axis that a sound goes along; undefined where it cannot be one. */
export function soundAxis(pattern: readonly number[]): number | undefined {
  const long = [...pattern.keys()].filter((axis) => pattern[axis] !== 1);
  return long.length === 1 ? long[0] : undefined;
}

interface IntegerType {
  readonly least: number;
  readonly most: number;
  readonly make: (count: number) => Values;
  /** What is taken off a byte where nothing is said; without it that has to be said. */
  readonly offset?: number;
}

const INTEGERS: Readonly<Record<string, IntegerType>> = {
  UINT8: { least: 0, most: 255, make: (count) => new Uint8Array(count), offset: 0 },
  INT8: { least: -128, most: 127, make: (count) => new Int8Array(count), offset: 128 },
  INT16: { least: -32768, most: 32767, make: (count) => new Int16Array(count) },
  INT32: { least: -(2 ** 31), most: 2 ** 31 - 1, make: (count) => new Int32Array(count), offset: 0 },
};

const ROWS = ["FLOAT32", ...Object.keys(INTEGERS)].join(", ");

/** How pictures become an input. Throws UsageError where the options do not fit or something has to be said; MinmaxqError where it takes no pictures. */
export function picturePlan(input: InputSpec, known: KnownInput, settings: MediaSettings): PicturePlan {
  const pattern = patternOf(input);
  const axes = pictureAxes(pattern);
  if (!axes) throw unfit(input, "pictures", "[1, height, width, 3] or [1, 3, height, width] (3 or 1 channels)");
  refuseDtype(input, "pictures");
  const { planar } = axes;
  const size = (axis: number) => (pattern[axis]! < 0 ? undefined : pattern[axis]!);
  const count = pattern.length === 2 ? 1 : pattern[planar ? axes.height - 1 : pattern.length - 1]!;
  const channels = settings.channels ?? (count === 1 ? "gray" : "rgb");
  if (count === 1 && channels !== "gray")
    throw new UsageError(`--channels ${channels}: ${inputText(input)} has one channel; use gray, or leave it out`);
  const { tables, by } = valuesOfBytes(input, known, settings, count);
  return {
    planar,
    count,
    channels,
    resize: settings.resize ?? "stretch",
    height: size(axes.height),
    width: size(axes.width),
    tables,
    by,
  };
}

function unfit(input: InputSpec, what: string, shapes: string): MinmaxqError {
  return new MinmaxqError(`${inputText(input)} takes no ${what}, which need ${shapes}; give arrays (.npy, .npz)`, {
    subject: `model input "${input.name}"`,
    code: "no-media-input",
  });
}

function refuseDtype(input: InputSpec, what: string): void {
  if (input.dtype === "FLOAT32" || Object.hasOwn(INTEGERS, input.dtype)) return;
  throw unfit(input, what, `an input of ${ROWS}`);
}

function valuesOfBytes(input: InputSpec, known: KnownInput, settings: MediaSettings, count: number) {
  const integer = INTEGERS[input.dtype];
  const rule = ruleOf(input, known, settings, count);
  const bytes = Array.from({ length: 256 }, (_, byte) => byte);
  if (!rule) {
    // Only integers come without one.
    const offset = integer!.offset!;
    const table = integer!.make(256);
    for (const byte of bytes) table[byte] = byte - offset;
    return { tables: Array(count).fill(table) as Values[], by: offset === 0 ? "bytes" : `bytes − ${offset}` };
  }
  const encode = encoder(input, known);
  const channels = Array.from({ length: count }, (_, channel) => bytes.map((byte) => rule.value(byte, channel)));
  const all = channels.flatMap((values) => [values[0]!, values[255]!]);
  const range = `${short(Math.min(...all))}…${short(Math.max(...all))}`;
  return { tables: channels.map((values) => encode(values)), by: `${range} (${rule.by})` };
}

interface Rule {
  value(byte: number, channel: number): number;
  readonly by: string;
}

function ruleOf(input: InputSpec, known: KnownInput, settings: MediaSettings, count: number): Rule | undefined {
  const { scale, mean, std } = settings;
  if (scale || mean || std) {
    refuseCounts({ "--mean": mean, "--std": std }, count, input);
    const [low, high] = scale ?? [0, 255];
    refuseUnlikely(settings);
    if (INTEGERS[input.dtype] && !known.quant && (low !== 0 || high !== 255 || mean || std))
      throw new UsageError(
        `--scale, --mean, --std: ${inputText(input)} has no scale that says what its integers stand for, so it gets bytes; leave them out`,
      );
    const words = [scale && `--scale ${low}..${high}`, mean && `--mean ${mean}`, std && `--std ${std}`];
    return linear(low, high, mean, std, words.filter(Boolean).join(" "));
  }
  const { normalization, range } = known;
  // What feeds phones' models gives bytes to uint8 inputs, whatever the metadata say (TensorFlow Lite Task Library).
  if (input.dtype === "UINT8" || (INTEGERS[input.dtype] && !known.quant && input.dtype !== "INT16")) return undefined;
  if (normalization) {
    const { mean, std } = normalization;
    const by = `the model's metadata: mean ${[...new Set(mean)].map(short)}, std ${[...new Set(std)].map(short)}`;
    return linear(0, 255, mean, std, by);
  }
  if (range) return linear(range[0], range[1], undefined, undefined, "the model's metadata: least and largest value");
  if (INTEGERS[input.dtype]?.offset !== undefined) return undefined;
  const hint = known.scaled ? "; it multiplies or shifts its input itself, as models do that want 0..255" : "";
  throw new UsageError(
    `--scale is missing: nothing in the model says which numbers pictures become for ${inputText(input)}; give --scale 0..1, --scale -1..1 or --scale 0..255, whichever it was trained with (or --mean and --std)${hint}`,
    { code: "scale-unknown" },
  );
}

function linear(
  low: number,
  high: number,
  mean: readonly number[] | undefined,
  std: readonly number[] | undefined,
  by: string,
): Rule {
  const of = (values: readonly number[] | undefined, channel: number, otherwise: number) =>
    values ? values[Math.min(channel, values.length - 1)]! : otherwise;
  return {
    value: (byte, channel) => (low + (byte * (high - low)) / 255 - of(mean, channel, 0)) / of(std, channel, 1),
    by,
  };
}

function refuseCounts(given: Record<string, readonly number[] | undefined>, count: number, input: InputSpec): void {
  for (const [flag, values] of Object.entries(given))
    if (values && values.length !== 1 && values.length !== count)
      throw new UsageError(
        `${flag} ${values}: has ${values.length} values, and ${inputText(input)} has ${count === 1 ? "one channel" : `${count} channels`}; give one, or one per channel`,
      );
}

/** Means and deviations of 0…1 on bytes would give numbers in the hundreds. */
function refuseUnlikely({ scale, std }: MediaSettings): void {
  if (scale === undefined && std?.some((value) => value < 1))
    throw new UsageError(
      `--std ${std}: is meant for pictures of 0..1, it seems; add --scale 0..1 (or --scale 0..255, if it is not)`,
    );
}

/** Numbers → the input's values: floats, or integers by its scale. */
function encoder(input: InputSpec, { quant }: KnownInput): (values: readonly number[]) => Values {
  const integer = INTEGERS[input.dtype];
  if (!integer) return (values) => Float32Array.from(values);
  const { scale, zeroPoint } = quant ?? { scale: 1, zeroPoint: 0 };
  return (values) => {
    const out = integer.make(values.length);
    for (const [i, value] of values.entries()) {
      const steps = value / scale;
      const whole = Math.sign(steps) * Math.floor(Math.abs(steps) + 0.5) + zeroPoint;
      out[i] = Math.min(integer.most, Math.max(integer.least, whole));
    }
    return out;
  };
}

export interface SoundPlan {
  readonly axis: number;
  /** Undefined where the model leaves it open. */
  readonly length?: number;
  /** Sound of −1…1 → the input's values. */
  readonly encode: (values: readonly number[]) => Values;
  /** The rate that the model's metadata want. */
  readonly rate?: number;
  readonly by: string;
}

/** How sounds become an input. Throws as `picturePlan`. */
export function soundPlan(input: InputSpec, known: KnownInput, settings: MediaSettings): SoundPlan {
  const pattern = patternOf(input);
  const axis = soundAxis(pattern);
  if (axis === undefined) throw unfit(input, "sounds", "one dimension that is not 1, as [1, samples]");
  refuseDtype(input, "sounds");
  const { scale, mean, std } = settings;
  if (mean || std) throw new UsageError("--mean, --std: are for pictures; sounds take --scale alone");
  const integer = INTEGERS[input.dtype];
  if (integer && !known.quant)
    throw unfit(input, "sounds", "a float input, or one with a scale that says what its integers stand for");
  const [low, high] = scale ?? [-1, 1];
  const encode = encoder(input, known);
  return {
    axis,
    length: pattern[axis]! < 0 ? undefined : pattern[axis]!,
    encode: (values) => encode(scale ? values.map((value) => low + ((value + 1) * (high - low)) / 2) : values),
    ...(known.sound && { rate: known.sound.rate }),
    by: scale ? `${low}…${high} (--scale ${low}..${high})` : "−1…1, as sounds are (--scale for another range)",
  };
}

const short = (value: number) => Number(value.toPrecision(4));
