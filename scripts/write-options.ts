/** Writes docs/options.md, the reference of all commands and options, from the tables: `bun run scripts/write-options.ts`. */
import { allCommands } from "../src/cli/commands.ts";
import { describeAll } from "../src/cli/describe.ts";
import type { Command } from "../src/commands/command.ts";
import { type DescribedCommand, type DescribedOption, wordsOf } from "../src/manual/described.ts";
import { type OptionName, ROWS } from "../src/options/table.ts";
import { commandLines } from "../src/terminal/columns.ts";

/** The widest line of text and of an example. */
const COLUMNS = 110;

const HEAD = `# All commands and options

This page is made by \`bun run scripts/write-options.ts\` from the tables that the program itself reads, so it
says what \`minmaxq COMMAND --help\` says. An option is told where it first occurs; a later command names it and
says where.
`;

/** The text of docs/options.md. test/docs/options.test.ts holds the file to it. */
export async function optionReference(): Promise<string> {
  const commands = (await allCommands()).flatMap((each) => each.subcommands ?? [each]);
  const { commands: described, common } = await describeAll();
  const fronts = described.filter(({ isFront }) => isFront);
  const told = new Map<OptionName, string>();
  return [
    HEAD,
    "| command | what it does |\n|---|---|",
    ...[...commands, ...fronts].map(({ name, summary }) => `| [\`${name}\`](#${anchor(name)}) | ${prose(summary)} |`),
    "",
    "## Every command\n",
    ...common.map((option) => bullet(wordsAndValue(option), option.help)),
    "",
    ...commands.map((command) => commandSection(command, told)),
    "## In place of ONE's tools\n",
    ...wrapped(
      prose("They take the arguments of the tools that they are named after, and the options of every command."),
    ),
    "",
    ...fronts.map((front) => frontSection(front, common)),
  ]
    .join("\n")
    .replace(/\n{3,}/g, "\n\n")
    .replace(/\n+$/, "\n");
}

function commandSection(command: Command, told: Map<OptionName, string>): string {
  const { name, summary, positionals, options, demands = [], examples, notes = [] } = command;
  const isRequired = (option: OptionName) => ROWS[option].required || demands.includes(option);
  const must = options.filter(isRequired).map((option) => ROWS[option].flags.replace(/^-\w, /, ""));
  const words = positionals.map((each) => (each.startsWith("[") ? each : `<${each}>`));
  const optional = options.length > must.length ? ["[options]"] : [];
  const lines = options.filter((option) => !told.has(option)).map((option) => optionBullet(option, isRequired(option)));
  const elsewhere = Map.groupBy(
    options.filter((option) => told.has(option)),
    (option) => told.get(option)!,
  );
  for (const option of options) if (!told.has(option)) told.set(option, name);
  return [
    `## ${name}\n`,
    `${prose(sentence(summary))}\n`,
    ...codeLines([`minmaxq ${[name, ...words, ...must, ...optional].join(" ")}`]).map(inUsage),
    "",
    ...lines,
    ...[...elsewhere].map(([where, names]) => {
      const flags = names.map((option) => `\`${ROWS[option].flags.replace(/^-\w, /, "")}\``);
      return wrapped(`- As for [${where}](#${anchor(where)}): ${flags.join(", ")}.`, "  ").join("\n");
    }),
    "",
    "Examples:\n",
    ...codeLines(examples),
    "",
    ...notes.flatMap((note, i) => {
      if (typeof note === "string") return [...wrapped(prose(note)), ""];
      return [bullet(note[0], note[1]), ...(Array.isArray(notes[i + 1]) ? [] : [""])];
    }),
  ].join("\n");
}

function frontSection(
  { name, summary, positionals, options, examples }: DescribedCommand,
  common: readonly DescribedOption[],
) {
  const own = options.filter((option) => !common.some(({ long }) => long === option.long));
  return [
    `### ${name}\n`,
    `${prose(sentence(summary))}\n`,
    ...codeLines([["minmaxq", name, "[options]", ...positionals.map((each) => each.name)].join(" ")]).map(inUsage),
    "",
    ...own.map((option) => bullet(option.long, option.help)),
    "",
    "Example:\n",
    ...codeLines(examples),
    "",
  ].join("\n");
}

/** What it is for, its default and conditions. The words that it takes are in its help, with what they mean. */
function optionBullet(name: OptionName, isRequired: boolean): string {
  const { flags, help, default: value, defaultText, needs, ofEntries, many } = ROWS[name];
  const fallback = defaultText ?? (value === undefined ? undefined : String(value));
  const isCode = defaultText === undefined;
  return bullet(
    flags,
    help,
    ...(isRequired && !help.includes("(required)") ? ["Required."] : []),
    ...(fallback === undefined ? [] : [`Default: ${isCode ? code(fallback) : prose(fallback)}.`]),
    ...(needs && !ofEntries ? [`Only with ${code(ROWS[needs as OptionName].flags.split(" ")[0]!)}.`] : []),
    ...(many === "repeated" && !help.includes("repeatable") ? ["Repeatable."] : []),
  );
}

/** A usage is nothing to run: test/docs/commands.test.ts runs lines that begin with the program's name. */
function inUsage(line: string, i: number): string {
  return i === 0 ? line.replace(/minmaxq/, "usage: minmaxq") : line;
}

function wordsAndValue(option: DescribedOption): string {
  return `${wordsOf(option).join(", ")}${option.value ? ` <${option.value.name}>` : ""}`;
}

/** "- `flags`: help. More." in lines that fit. */
function bullet(flags: string, help: string, ...more: string[]): string {
  return wrapped(`- ${code(flags)}: ${[prose(closed(help)), ...more].join(" ")}`, "  ").join("\n");
}

const closed = (text: string) => (/[.:]$/.test(text) ? text : `${text}.`);
const sentence = (text: string) => closed(text[0]!.toUpperCase() + text.slice(1));
const code = (text: string) => `\`${text}\``;
const anchor = (title: string) =>
  title
    .toLowerCase()
    .replace(/[^\w -]/g, "")
    .replaceAll(" ", "-");

/** Plain text as Markdown: what is in quotes, and options, are code; nothing else has a meaning there. */
function prose(text: string): string {
  return text
    .split(/((?<![\w'])'[^']+'(?!\w)|(?<![\w-])--[a-z][\w-]*|\{"[^}]*\})/)
    .map((part, i) =>
      i % 2 === 1 ? code(part.replace(/^'|'$/g, "")) : part.replace(/[\\*<>[\]`]|(?<!\w)_|_(?!\w)/g, "\\$&"),
    )
    .join("");
}

/** Lines of at most COLUMNS; code is not broken. */
function wrapped(text: string, indent = ""): string[] {
  const lines: string[] = [];
  for (const word of text.match(/(?:`[^`]*`|[^\s`])+/g)!) {
    const last = lines.at(-1);
    if (last !== undefined && [...last].length + 1 + [...word].length <= COLUMNS)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(lines.length === 0 ? word : `${indent}${word}`);
  }
  return lines;
}

function codeLines(commands: readonly string[]): string[] {
  return commands.flatMap((each) => commandLines(each, COLUMNS).map((line) => `  ${line}`));
}

if (import.meta.main) await Bun.write("docs/options.md", await optionReference());
