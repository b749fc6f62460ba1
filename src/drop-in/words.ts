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
export function parseWords(given: readonly string[], front: FrontText): Parsed {
  const known = front.options;
  const positionals = front.positionals.split(" ").filter((name) => name !== "");
  const options = new Map<string, readonly string[]>();
  const repeated = new Map<string, string[][]>();
  const rest: string[] = [];
  const words = front.short ? given.flatMap((word) => inPython(word, front)) : given;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const option = Object.hasOwn(known, word) ? known[word] : undefined;
    if (option) {
      const values = words.slice(i + 1, i + 1 + option.words);
      if (values.length < option.words)
        throw new UsageError(`${word}: takes ${option.words} value(s), got ${values.length}; see --help`);
      options.set(word, values);
      repeated.set(word, [...(repeated.get(word) ?? []), values]);
      i += option.words;
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

/** `-i` and `--name=value` as the words that they stand for. */
function inPython(word: string, { options, short = {} }: FrontText): string[] {
  if (Object.hasOwn(short, word)) return [short[word]!];
  const cut = /^(--[\w-]+)=(.*)$/s.exec(word);
  return cut && Object.hasOwn(options, cut[1]!) ? [cut[1]!, cut[2]!] : [word];
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
  /** Tools that are Python scripts have names of one letter for some options, and take `--name=value`. */
  readonly short?: Readonly<Record<string, string>>;
  /** Words of a use that works. */
  readonly example: string;
}

/** An error about words that are missing, with a line that has all. */
export function missingWords(what: readonly string[], { name, example }: FrontText): UsageError {
  return new UsageError(`${what.join(" and ")} missing, for example: minmaxq ${name} ${example}; see --help`);
}
