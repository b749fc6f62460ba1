/** Commands as commander's program: help, checks and typo hints come from the tables. */
import { CommanderError, Option, Command as Program } from "commander";
import pkg from "../../package.json" with { type: "json" };
import { UsageError } from "../base/errors.ts";
import type { Output } from "../base/output.ts";
import type { Command } from "../commands/command.ts";
import { COMMON_OPTIONS } from "../options/common.ts";
import { type OptionName, ROWS } from "../options/table.ts";
import type { Given, OptionValues } from "../options/values.ts";
import { textWidthOf } from "../terminal/streams.ts";
import { commandsFor, FRONTS } from "./commands.ts";
import { ColumnHelp } from "./help.ts";
import { positionalHint, refuseBarePath, refuseUnknownHelp } from "./hints.ts";

/** Parses the command line and runs its command. Throws UsageError for a wrong one. */
export async function runProgram(words: readonly string[], output: Output): Promise<void> {
  if (words[0] === "help") refuseUnknownHelp(words[1]);
  else refuseBarePath(firstWord(words));
  const program = new Program("minmaxq")
    .description(pkg.description)
    .version(pkg.version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .configureOutput({ writeOut: (text) => output.print(text.replace(/\n$/, "")), writeErr: () => {} })
    .helpCommand("help [command]", "print the help of a command")
    .exitOverride();
  addCommonOptions(program);
  const commands = await commandsFor(words);
  const ends = new Map(
    commands.flatMap((command) => [command, ...(command.subcommands ?? [])]).map((each) => [each.name, each]),
  );
  program.createHelp = () => new ColumnHelp(textWidthOf(1), ends);
  for (const command of commands) addCommand(program, command, output);
  for (const [name, { summary }] of Object.entries(FRONTS)) program.command(name).summary(summary).description(summary);
  try {
    if (words.length === 0) {
      program.outputHelp();
      return;
    }
    await program.parseAsync([...words], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return;
    // A command of several without the second word.
    const group = commands.find(({ subcommands, name }) => subcommands && words.includes(name));
    if (error.code === "commander.help" && group)
      throw new UsageError(
        `${group.name}: say what to do: ${group.subcommands!.map(({ name }) => name).join(" or ")}; see 'minmaxq ${group.name} --help'`,
      );
    // The shell has put names in the place of a pattern.
    const expanded = error.code === "commander.excessArguments" && words.includes("--data");
    const command = commandOf(words, commands);
    const hint = expanded
      ? "; a pattern of --data needs quotes: --data 'photos/*.jpg'"
      : positionalHint(error.code, words, command);
    throw new UsageError(`${sentence(error.message)}${hint}; see 'minmaxq ${command ? `${command.name} ` : ""}--help'`);
  }
}

/** What commander says, as one line without its own punctuation. */
function sentence(message: string): string {
  return message
    .replace(/^error: /, "")
    .replace(/\s*\n\s*/g, " ")
    .replace(/\.$/, "");
}

/** The first word that is neither an option nor the value of a common one. */
function firstWord(words: readonly string[]): string | undefined {
  const values = COMMON_OPTIONS.filter(({ value }) => value).map(({ name }) => name);
  return words.find((word, i) => !word.startsWith("-") && !values.includes(words[i - 1] ?? ""));
}

function commandOf(words: readonly string[], commands: readonly Command[]): Command | undefined {
  return commands.find(({ name }) => name === words.find((word) => !word.startsWith("-")));
}

function addCommonOptions(program: Program): void {
  for (const { name, value, help } of COMMON_OPTIONS) program.option(value ? `${name} <${value}>` : name, help);
}

function addCommand(program: Program, command: Command, output: Output): void {
  const added = program
    .command(command.name.split(" ").at(-1)!)
    .summary(command.summary)
    .description(command.summary)
    .helpOption("-h, --help", "print this help")
    .exitOverride();
  added.createHelp = () => program.createHelp();
  for (const each of command.subcommands ?? []) addCommand(added, each, output);
  if (command.subcommands) return addCommonOptions(added);
  for (const positional of command.positionals)
    added.argument(positional.startsWith("[") ? positional : `<${positional}>`);
  const given = new Map<OptionName, (string | true)[]>();
  for (const name of command.options) {
    const option = commanderOption(name);
    added.addOption(option);
    added.on(`option:${option.name()}`, (text?: string) => {
      given.set(name, [...(given.get(name) ?? []), text ?? true]);
    });
  }
  addCommonOptions(added);
  added.action((...parameters) => {
    const positionals = parameters.slice(0, command.positionals.length) as string[];
    const values = added.opts<OptionValues>();
    refuseMissing(command, values);
    refuseUseless(command, values, given);
    for (const [name, texts] of given)
      for (const text of texts) {
        const remark = typeof text === "string" ? ROWS[name].remark?.(text) : undefined;
        if (remark !== undefined) output.tell(`note: ${ROWS[name].flags.split(" ")[0]} ${remark}`);
      }
    return command.run(positionals, values, output, given, async () => (await import("./describe.ts")).describeAll());
  });
}

/** Here and not by commander, which would look for missing options before it looks for misspelt ones. */
function refuseMissing(command: Command, values: OptionValues): void {
  const missing = command.options.filter(
    (name) => (ROWS[name].required || command.demands?.includes(name)) && values[name] === undefined,
  );
  if (missing.length === 0) return;
  const flags = missing.map((name) => ROWS[name].flags).join(" and ");
  throw new UsageError(
    `${command.name} needs ${flags}, for example: ${command.examples[0]}; see 'minmaxq ${command.name} --help'`,
  );
}

/** An option that only works together with another one is no use alone, and nothing is ignored in silence. */
function refuseUseless(command: Command, values: OptionValues, given: Given): void {
  for (const name of command.options) {
    const needed = ROWS[name].needs as OptionName | undefined;
    if (
      needed &&
      !ROWS[name].ofEntries &&
      given.has(name) &&
      values[needed] === undefined &&
      command.options.includes(needed)
    )
      throw new UsageError(`${ROWS[name].flags.split(" ")[0]}: does nothing without ${ROWS[needed].flags}`);
  }
}

function commanderOption(name: OptionName): Option {
  const row = ROWS[name];
  const help = row.defaultText && row.default === undefined ? `${row.help} (default: ${row.defaultText})` : row.help;
  const option = new Option(row.flags, help);
  // Values are found by the row's name: --prepare and --no-prepare are two options, not one and its opposite.
  option.attributeName = () => name;
  option.negate = false;
  if (row.parse) option.argParser(row.parse);
  if (row.default !== undefined) option.default(row.default, row.defaultText ?? String(row.default));
  return option;
}
