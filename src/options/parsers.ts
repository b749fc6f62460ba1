/** Text of the command line → values, for rows of the option table. Each throws InvalidArgumentError with a sentence. */
import { InvalidArgumentError } from "commander";
import { closest } from "fastest-levenshtein";
import { reasonOf } from "../base/errors.ts";
import type { GivenShape } from "../calibration/index.ts";
import { type Limit, limitsFromText } from "../compare/limits.ts";
import type { Dtype } from "../graph/graph.ts";
import { type ForcedParameters, parametersFromText } from "../passes/transform/set-parameters.ts";
import { LEVEL_NAMES } from "../search/levels.ts";
import { IO_DTYPES } from "./dtypes.ts";
import { parseSize } from "./sizes.ts";

/** A text that is not empty. */
export const filled = (text: string): string => {
  if (text.trim() === "") throw new InvalidArgumentError("It is empty.");
  return text;
};

/** One of the values, by its name in any case. */
export const oneOf = <T>(values: Readonly<Record<string, T>>) => {
  const choices = Object.keys(values);
  const parse = (text: string): T => {
    const key = text.toLowerCase();
    if (Object.hasOwn(values, key)) return values[key]!;
    throw new InvalidArgumentError(`Choose ${choices.join(" or ")}.`);
  };
  return Object.assign(parse, { choices });
};

/** Several values, separated by commas. */
const listOf = <T>(one: ((text: string) => T) & { readonly choices: readonly string[] }) =>
  Object.assign(separated(one), { choices: one.choices });

const separated =
  <T>(one: (text: string) => T) =>
  (text: string): T[] =>
    text.split(",").map((each) => one(each.trim()));

export const number =
  (what: string, accept: (value: number) => boolean) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() === "" || !accept(value)) throw new InvalidArgumentError(`It must be ${what}.`);
    return value;
  };

export const whole = number("a whole number from 1", (n) => Number.isSafeInteger(n) && n >= 1);
/** So many, or all (`true`, where no number is given). Throws InvalidArgumentError for anything else, also for what stands behind by mistake. */
export const allOrSome = (text: string): number | true => {
  try {
    return whole(text);
  } catch {
    throw new InvalidArgumentError("It must be a whole number from 1, or stand last, without a value.");
  }
};
export const percentage = number("a number from 0 to 100", (n) => n >= 0 && n <= 100);
export const negative = number("a number below 0", (n) => n < 0 && Number.isFinite(n));
export const atLeastOne = number("a number from 1", (n) => n >= 1 && Number.isFinite(n));
export const partly = number("a number above 0 and below 1", (n) => n > 0 && n < 1);
export const share = number("a number from 0 to 1", (n) => n >= 0 && n <= 1);

/** Numbers, separated by commas. */
export const numbers = (what: string, accept: (value: number) => boolean) =>
  separated(number(`${what}, or several separated by commas`, (n) => Number.isFinite(n) && accept(n)));

/** Two numbers: "0..1", "-1..1". */
export const valueRange = (text: string): readonly [number, number] => {
  const [low, high, ...more] = text.split("..").map((each) => (each.trim() === "" ? Number.NaN : Number(each)));
  if (more.length > 0 || !Number.isFinite(low) || !Number.isFinite(high) || !(low! < high!))
    throw new InvalidArgumentError("Write 0..1, -1..1, 0..255, or another LOW..HIGH.");
  return [low!, high!];
};

/** A share: "20%", or 0.2. Above 0, at most all. */
export const shareOrPercent = (text: string): number => {
  const [, digits, percent] = /^\s*([\d.]+)\s*(%?)\s*$/.exec(text) ?? [];
  const value = Number(digits) / (percent ? 100 : 1);
  if (value > 0 && value <= 1) return value;
  throw new InvalidArgumentError("Write a share such as 20% or 0.2.");
};

/** Seconds: "90", "90s", "15m", "2h". */
export const duration = (text: string): number => {
  const [, digits, unit = "s"] = /^\s*([\d.]+)\s*([smh]?)\s*$/.exec(text) ?? [];
  const value = Number(digits) * { s: 1, m: 60, h: 3600, "": 1 }[unit as "s" | "m" | "h" | ""];
  if (value > 0) return value;
  throw new InvalidArgumentError("Write a time such as 90s, 15m or 2h.");
};

/** A target of a search: "sqnr=20" (dB, each output), "metric=0.9" (what --metric prints). */
export const target = (text: string): { readonly kind: "sqnr" | "metric"; readonly value: number } => {
  const [, kind, digits] = /^\s*(sqnr|metric)\s*=\s*(\S+)\s*$/i.exec(text) ?? [];
  const value = Number(digits);
  if (kind && Number.isFinite(value)) return { kind: kind.toLowerCase() as "sqnr" | "metric", value };
  throw new InvalidArgumentError("Write sqnr=20, or metric=0.9 with --metric.");
};

/** A parser's own errors as commander's. */
const refusing = <T>(parse: () => T): T => {
  try {
    return parse();
  } catch (error) {
    throw new InvalidArgumentError(`${reasonOf(error)}.`);
  }
};

/** Bytes: "500MB". */
export const size = (text: string): number => refusing(() => parseSize(text.trim()));

/** Those of ONE, and LiteRT's int8. */
export const ioDtypes = listOf(oneOf<Dtype>({ ...IO_DTYPES, int8: "INT8" }));

/** Schemes, or float32, from few bits to many, separated by commas; two or more, each once. */
export const levels = (text: string): string[] => {
  const names = listOf(oneOf(LEVEL_NAMES))(text);
  if (names.length < 2 || new Set(names).size < names.length)
    throw new InvalidArgumentError(
      "Write two or more, each once: uint8,int16 or int8,int16x8,float32 or weights-int4,weights-int8.",
    );
  return names;
};

/** An option that may be given several times. */
export const collected =
  <T>(one: (text: string) => T) =>
  (text: string, before: readonly T[] = []): T[] => [...before, one(text)];

/** Any names, separated by commas; repeatable. */
export const names = (text: string, before: readonly string[] = []): string[] => [
  ...before,
  ...text.split(",").map((name) => filled(name.trim())),
];

/** Names of a list, separated by commas; repeatable. */
export const namesOf = (what: string, known: readonly string[]) => {
  const parse = (text: string, before: readonly string[] = []): string[] => {
    const names = text.split(",").map((name) => name.trim());
    for (const name of names) {
      if (known.includes(name)) continue;
      throw new InvalidArgumentError(
        `There is no ${what} "${name}"; did you mean ${closest(name, known)}? Known are ${known.join(", ")}.`,
      );
    }
    return [...before, ...names];
  };
  return Object.assign(parse, { choices: known });
};

export const forcedParameters = (text: string): ForcedParameters => {
  const [, name, scale, zeroPoint] = /^(.+)=([^=,]+),([^=,]+)$/.exec(text) ?? [];
  if (!name) throw new InvalidArgumentError("Write NAME=SCALE,ZERO_POINT.");
  return refusing(() => parametersFromText(name, scale!, zeroPoint!));
};

/** An input's name and shape: "image=1,224,224,3". */
export const inputShape = (text: string): GivenShape => {
  const [, name, dims] = /^(.+)=\s*(\d+(?:\s*,\s*\d+)*)\s*$/.exec(text) ?? [];
  const shape = dims?.split(",").map(Number) ?? [];
  if (!name || shape.some((dim) => dim < 1)) throw new InvalidArgumentError("Write NAME=1,224,224,3.");
  return { name, shape };
};

export const limits =
  (direction: "below" | "above") =>
  (text: string, before: readonly Limit[] = []): Limit[] =>
    refusing(() => [...before, ...limitsFromText(direction, text)]);

export const copiedParameters = (text: string): readonly [from: string, to: string] => {
  const [, to, from] = /^(.+?)=(.+)$/.exec(text) ?? [];
  if (!to || !from) throw new InvalidArgumentError("Write TO=FROM, both names of tensors.");
  return [from, to];
};
