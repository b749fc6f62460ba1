/** The tables as plain data, for completions and man pages. */
import pkg from "../../package.json" with { type: "json" };
import type { Command } from "../commands/command.ts";
import type { Described, DescribedCommand, DescribedOption, Value } from "../manual/described.ts";
import { COMMON_OPTIONS } from "../options/common.ts";
import { type OptionName, ROWS } from "../options/table.ts";
import { allCommands, FRONTS } from "./commands.ts";

const MODEL: Value = { kind: "files", endings: [".tflite", ".circle"] };
const ANY_FILE: Value = { kind: "files", endings: [] };

/** What stands for positionals, by the name that the command gives them. */
const POSITIONALS: Readonly<Record<string, Value>> = {
  model: MODEL,
  float: MODEL,
  quantized: MODEL,
  command: { kind: "commands" },
  INPUT: MODEL,
  OUTPUT: MODEL,
};

function optionOf(name: OptionName): DescribedOption {
  const { flags, help, parse, file, default: value, defaultText } = ROWS[name];
  const [, short, long, called] = /^(?:(-\w), )?(--[\w-]+)(?: [<[](.+)[>\]])?$/.exec(flags)!;
  const fallback = defaultText ?? (value === undefined ? undefined : String(value));
  return {
    long: long!,
    ...(short && { short }),
    help: fallback === undefined ? help : `${help} (default: ${fallback})`,
    ...(called && { value: { name: called, words: 1, of: choicesOf(called, file, parse?.choices) } }),
  };
}

function choicesOf(called: string, file: unknown, choices: readonly string[] | undefined): Value {
  if (choices) return { kind: "choices", choices };
  if (called === "folder") return { kind: "folders" };
  return file === undefined ? { kind: "free" } : ANY_FILE;
}

const COMMON: readonly DescribedOption[] = [
  ...COMMON_OPTIONS.map(({ name, value, help }) => ({
    long: name,
    help,
    ...(value && { value: { name: value, words: 1, of: ANY_FILE } }),
  })),
  { long: "--help", short: "-h", help: "print this help" },
];

function described({ name, summary, positionals, options, examples, subcommands = [] }: Command): DescribedCommand {
  // Of a command of several: the second word, and the options of all.
  const words = subcommands.map((each) => each.name.split(" ").at(-1)!);
  const all = new Set([...options, ...subcommands.flatMap((each) => each.options)]);
  return {
    name,
    summary,
    positionals: (words.length > 0 ? [words.join("|")] : positionals).map((each) => {
      const called = each.replace(/^\[|\]$/g, "");
      const choices = called.includes("|") ? called.split("|") : undefined;
      const isShells = choices?.every((choice) => /^[a-z]+$/.test(choice));
      return {
        name: called,
        isOptional: each.startsWith("["),
        of: isShells ? { kind: "choices", choices: choices! } : (POSITIONALS[called] ?? ANY_FILE),
      };
    }),
    options: [...[...all].map(optionOf), ...COMMON],
    examples,
    isFront: false,
  };
}

async function frontOf(name: string): Promise<DescribedCommand> {
  const { summary, load } = FRONTS[name]!;
  const { text } = await load();
  return {
    name,
    summary,
    positionals: text.positionals
      .split(" ")
      .filter((each) => each !== "")
      .map((each) => ({ name: each, isOptional: false, of: POSITIONALS[each] ?? ANY_FILE })),
    options: Object.entries(text.options).map(([long, { words, help }]) => ({
      long,
      help,
      // The reference's options do not say what their words are; most are paths.
      ...(words > 0 && { value: { name: "value", words, of: words === 1 ? ANY_FILE : { kind: "free" } } }),
    })),
    examples: [`minmaxq ${name} ${text.example}`],
    isFront: true,
  };
}

/** All commands, then all fronts. */
export async function describeAll(): Promise<Described> {
  const commands = await allCommands();
  const fronts = await Promise.all(Object.keys(FRONTS).map(frontOf));
  return {
    program: "minmaxq",
    description: pkg.description,
    version: pkg.version,
    commands: [...commands.map(described), ...fronts],
    common: COMMON,
  };
}
