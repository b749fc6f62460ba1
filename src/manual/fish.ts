/** Completion for fish: a line for each command, option and positional, under the condition that its command was typed. */
import type { Described, DescribedCommand, DescribedOption, Value } from "./described.ts";

/** A word in single quotes. */
const quoted = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;

/** What offers values, for each \`complete\` line. */
function offers(of: Value, names: readonly string[]): string[] {
  switch (of.kind) {
    case "choices":
      return [`-f -a ${quoted(of.choices.join(" "))}`];
    case "commands":
      return [`-f -a ${quoted(names.join(" "))}`];
    case "files":
      return of.endings.length === 0
        ? ["-F"]
        : of.endings.map((ending) => `-f -a '(__fish_complete_suffix ${ending})'`);
    case "folders":
      return ["-f -a '(__fish_complete_directories)'"];
    case "free":
      return ["-f"];
  }
}

function optionLines(start: string, { long, short, help, value }: DescribedOption, names: readonly string[]): string[] {
  const flags = `-l ${quoted(long.slice(2))}${short ? ` -s ${short.slice(1)}` : ""} -d ${quoted(help)}`;
  if (!value) return [`${start} ${flags}`];
  return offers(value.of, names).map((offer) => `${start} ${flags} -r ${offer}`);
}

function commandLines(program: string, command: DescribedCommand, names: readonly string[]): string[] {
  const start = `complete -c ${program} -n '__fish_seen_subcommand_from ${command.name}'`;
  const [first] = command.positionals;
  return [
    ...command.options.flatMap((option) => optionLines(start, option, names)),
    ...(first ? offers(first.of, names).map((offer) => `${start} ${offer}`) : []),
  ];
}

export function fishScript({ program, commands, common }: Described): string {
  const names = commands.map(({ name }) => name);
  const none = `complete -c ${program} -n __fish_use_subcommand`;
  return [
    `# fish completion for ${program}: write it to ~/.config/fish/completions/${program}.fish`,
    `complete -c ${program} -f`,
    ...commands.map(({ name, summary }) => `${none} -a ${name} -d ${quoted(summary)}`),
    `${none} -a help -d 'print the help of a command'`,
    ...common.flatMap((option) => optionLines(none, option, names)),
    `complete -c ${program} -n '__fish_seen_subcommand_from help' -a ${quoted(names.join(" "))}`,
    ...commands.flatMap((command) => commandLines(program, command, names)),
    "",
  ].join("\n");
}
