/** Arguments as the reference's tools take them: each option has a fixed number of words. */

import { UsageError } from "../base/errors.ts";
import type { Dtype } from "../graph/graph.ts";
import { COMMON_OPTIONS } from "../options/common.ts";
import { IO_DTYPES } from "../options/dtypes.ts";
import type { Granularity } from "../rules/schemes.ts";
import { commandLines, items, paragraph } from "../terminal/columns.ts";
import { textWidthOf } from "../terminal/streams.ts";

export interface WordOption {
  /** How many words follow. */
  readonly words: number;
  /** One of the modes of which exactly one is chosen. */
  readonly mode?: true;
  readonly help: string;
}

/** What every command takes, as options of a front. */
export const COMMON_WORDS: Readonly<Record<string, WordOption>> = Object.fromEntries(
  COMMON_OPTIONS.map(({ name, value, help }) => [name, { words: value ? 1 : 0, help }]),
);

export interface Parsed {
  /** The last value of each option. */
  readonly options: ReadonlyMap<string, readonly string[]>;
  /** All values of each option, in order. */
  readonly repeated: ReadonlyMap<string, readonly (readonly string[])[]>;
  readonly positionals: readonly string[];
}

/** Splits words into options with their values and the front's positionals. Throws a UsageError. */
export function parseWords(words: readonly string[], front: FrontText): Parsed {
  const known = front.options;
  const positionals = front.positionals.split(" ").filter((name) => name !== "");
  const options = new Map<string, readonly string[]>();
  const repeated = new Map<string, string[][]>();
  const rest: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const { word, joined } = named(words[i]!, front);
    const option = Object.hasOwn(known, word) ? known[word] : undefined;
    if (option) {
      const next = option.words - joined.length;
      if (next < 0) throw new UsageError(`${word}: takes no value, got "${joined[0]}"; see --help`);
      const values = [...joined, ...words.slice(i + 1, i + 1 + next)];
      if (values.length < option.words)
        throw new UsageError(`${word}: takes ${option.words} value(s), got ${values.length}; see --help`);
      options.set(word, values);
      repeated.set(word, [...(repeated.get(word) ?? []), values]);
      i += next;
    } else if (word.startsWith("-")) {
      throw new UsageError(`unknown option ${word}; see --help`);
    } else {
      rest.push(word);
    }
  }
  if (rest.length < positionals.length) throw missingWords(positionals.slice(rest.length), front);
  if (rest.length > positionals.length)
    throw new UsageError(`nothing is known to do with "${rest[positionals.length]}"; see --help`);
  return { options, repeated, positionals: rest };
}

/** The option that a word stands for, and the value that is joined to it. */
function named(word: string, { options, short = {}, python }: FrontText): { word: string; joined: string[] } {
  if (Object.hasOwn(options, word)) return { word, joined: [] };
  if (Object.hasOwn(short, word)) return { word: short[word]!, joined: [] };
  const letter = short[word.slice(0, 2)];
  if (python && letter && options[letter]?.words === 1)
    return { word: letter, joined: [word.slice(2).replace(/^=/, "")] };
  const [, begun, value] = /^(--[\w-]+)(?:=(.*))?$/s.exec(word) ?? [];
  if (!python || begun === undefined) return { word, joined: [] };
  const names = Object.hasOwn(options, begun) ? [begun] : Object.keys(options).filter((name) => name.startsWith(begun));
  return names.length === 1 ? { word: names[0]!, joined: value === undefined ? [] : [value] } : { word, joined: [] };
}

/** Formats of circle-eval-diff (§8.1). */
export const EVAL_FORMATS = { h5: "h5", dir: "dir", directory: "directory" } as const;

export const GRANULARITIES: Readonly<Record<string, Granularity>> = { layer: "layer", channel: "channel" };

/** A value by its name, in any case. Throws a UsageError that lists the names. */
export function choice<T>(option: string, value: string, values: Readonly<Record<string, T>>): T {
  const key = value.toLowerCase();
  if (!Object.hasOwn(values, key))
    throw new UsageError(`${option}: "${value}" is not possible; choose ${Object.keys(values).join(", ")}`);
  return values[key]!;
}

/** dtypes separated by commas. */
export function dtypeList(option: string, value: string): Dtype[] {
  return value.split(",").map((each) => choice(option, each, IO_DTYPES));
}

/** Help of a drop-in front. */
export function usage(front: FrontText): string {
  const { name, positionals, options, example } = front;
  const columns = textWidthOf(1);
  return [
    ...paragraph(`Usage: minmaxq ${name} [options]${positionals}`, columns),
    ...paragraph(`Takes the arguments of ONE's ${name}; also when the executable is called ${name}.`, columns),
    "",
    "Options:",
    ...items(
      Object.entries(options).map(([option, { help }]) => [option, help]),
      columns,
    ),
    "",
    "Example:",
    ...commandLines(`minmaxq ${name} ${example}`, columns),
  ].join("\n");
}

/** What a front says of itself. */
export interface FrontText {
  readonly name: string;
  /** With a space before each. */
  readonly positionals: string;
  readonly options: Readonly<Record<string, WordOption>>;
  /** Names of one letter. */
  readonly short?: Readonly<Record<string, string>>;
  /** The tool is a Python script: it also takes `--name=value`, `-nVALUE` and the beginning of a name that no other one has. */
  readonly python?: true;
  /** Words of a use that works. */
  readonly example: string;
}

/** An error about words that are missing, with a line that has all. */
export function missingWords(what: readonly string[], { name, example }: FrontText): UsageError {
  return new UsageError(`${what.join(" and ")} missing, for example: minmaxq ${name} ${example}; see --help`);
}
