/** Completion for zsh: a function of compsys, with the help of each option beside it. */
import { type Described, type DescribedCommand, type DescribedOption, type Value, wordsOf } from "./described.ts";

/** A word in single quotes. */
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
/** What `_arguments` would take for its own signs. */
const plain = (text: string) => text.replace(/[[\]:\\]/g, "\\$&");

function action(of: Value, names: readonly string[]): string {
  switch (of.kind) {
    case "choices":
      return `(${of.choices.map(plain).join(" ")})`;
    case "commands":
      return `(${names.join(" ")})`;
    case "files":
      return of.endings.length === 0 ? "_files" : `_files -g "*(${of.endings.join("|")})"`;
    case "folders":
      return "_files -/";
    case "free":
      return "";
  }
}

function optionSpec(option: DescribedOption, names: readonly string[]): string {
  const { value, help } = option;
  const values = value ? `:${plain(value.name)}:${action(value.of, names)}`.repeat(value.words) : "";
  return wordsOf(option)
    .map((word) => quoted(`*${word}[${plain(help)}]${values}`))
    .join(" ");
}

function commandCase({ name, options, positionals }: DescribedCommand, names: readonly string[]): string[] {
  const specs = [
    ...options.map((option) => optionSpec(option, names)),
    ...positionals.map(({ name: called, of }, i) => quoted(`${i + 1}:${plain(called)}:${action(of, names)}`)),
  ];
  return [`    ${name})`, `      _arguments ${specs.join(" \\\n        ")} ;;`];
}

export function zshScript({ program, commands }: Described): string {
  const names = commands.map(({ name }) => name);
  return `#compdef ${program}
# zsh completion for ${program}: write it to a folder of $fpath as _${program}
_${program}() {
  local -a commands
  commands=(
${commands.map(({ name, summary }) => `    ${quoted(`${name}:${summary.replaceAll(":", "\\:")}`)}`).join("\n")}
    'help:print the help of a command'
  )
  if ((CURRENT == 2)); then
    _describe -t commands command commands
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
    help)
      _arguments '1:command:(${names.join(" ")})' ;;
${commands.flatMap((command) => commandCase(command, names)).join("\n")}
  esac
}
# Sourced it registers itself; from $fpath it is called.
if [ "$funcstack[1]" = "_${program}" ]; then
  _${program} "$@"
else
  compdef _${program} ${program}
fi
`;
}
