/** Man pages in roff (man macros) from the tables. */
import { type Described, type DescribedCommand, type DescribedOption, wordsOf } from "./described.ts";

/** Text of roff: no escape, no dash that becomes a hyphen, no line that begins a request; letters beyond ASCII by their numbers. */
function roff(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^(?=[.'])/gm, "\\&")
    .replace(
      /[^\x00-\x7f]/gu,
      (letter) => `\\[u${letter.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}]`,
    );
}

const bold = (text: string) => `\\fB${roff(text)}\\fR`;
const italic = (text: string) => `\\fI${roff(text)}\\fR`;

function optionLines(options: readonly DescribedOption[]): string[] {
  return options.flatMap((option) => {
    const value = option.value ? ` ${italic(option.value.name)}` : "";
    return [".TP", `${wordsOf(option).map(bold).join(", ")}${value}`, roff(option.help)];
  });
}

const EXIT_CODES: readonly (readonly [string, string])[] = [
  ["0", "done"],
  ["1", "the model, the data or the machine is wrong"],
  ["2", "the command line is wrong"],
  ["130, 143, 129", "stopped by Ctrl-C (SIGINT), SIGTERM, SIGHUP: nothing was written"],
];

const exitLines = () => [".SH EXIT STATUS", ...EXIT_CODES.flatMap(([code, what]) => [".TP", bold(code), roff(what)])];

/** The name of a page: "minmaxq-quantize". */
export function pageName({ program }: Described, command?: Pick<DescribedCommand, "name">): string {
  return command ? `${program}-${command.name}` : program;
}

function page(described: Described, command: DescribedCommand | undefined, lines: readonly string[]): string {
  const name = pageName(described, command);
  const title = `.TH ${name.toUpperCase()} 1 "" "${described.program} ${described.version}" "User Commands"`;
  const summary = command?.summary ?? described.description;
  // Neither hyphens nor wide gaps: options are copied from here.
  return [title, ".nh", ".ad l", ".SH NAME", `${roff(name)} \\- ${roff(summary)}`, ...lines, ""].join("\n");
}

/** The page of the program: its commands and fronts. */
export function programPage(described: Described): string {
  const listed = (fronts: boolean) =>
    described.commands
      .filter(({ isFront }) => isFront === fronts)
      .flatMap((command) => [".TP", `${bold(pageName(described, command))}(1)`, roff(command.summary)]);
  return page(described, undefined, [
    ".SH SYNOPSIS",
    `${bold(described.program)} ${italic("command")} [${italic("options")}]`,
    ".SH DESCRIPTION",
    `${roff(described.description)}.`,
    roff(`'${described.program} command --help' prints the options of a command.`),
    ".SH COMMANDS",
    ...listed(false),
    ".SH TOOLS OF ONE",
    "Drop\\-in replacements that take the arguments of the tools that they are named after.",
    ...listed(true),
    ".SH OPTIONS",
    "Every command takes these.",
    ...optionLines(described.common),
    ...exitLines(),
  ]);
}

/** The page of a command or front. */
export function commandPage(described: Described, command: DescribedCommand): string {
  const ends = command.positionals.map(({ name, isOptional }) => (isOptional ? `[${italic(name)}]` : italic(name)));
  return page(described, command, [
    ".SH SYNOPSIS",
    [bold(`${described.program} ${command.name}`), `[${italic("options")}]`, ...ends].join(" "),
    ".SH DESCRIPTION",
    `${roff(command.summary)}.`,
    ".SH OPTIONS",
    ...optionLines(command.options),
    ".SH EXAMPLES",
    ...command.examples.flatMap((example) => [".PP", ".nf", ".RS 4", roff(example), ".RE", ".fi"]),
    ...exitLines(),
    ".SH SEE ALSO",
    `${bold(described.program)}(1)`,
  ]);
}

/** All pages by file name: `minmaxq-quantize.1`. */
export function allPages(described: Described): Map<string, string> {
  return new Map([
    [`${pageName(described)}.1`, programPage(described)],
    ...described.commands.map(
      (command) => [`${pageName(described, command)}.1`, commandPage(described, command)] as const,
    ),
  ]);
}
