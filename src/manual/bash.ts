/** Completion for bash: what fits the word under the cursor, by the command and the word before. Works with the bash 3.2 of macOS, too. */
import { type Described, type DescribedCommand, type Value, wordsOf } from "./described.ts";

/** A word in single quotes. */
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

function action(of: Value, names: readonly string[]): string {
  switch (of.kind) {
    case "choices":
      return `_minmaxq_words ${quoted(of.choices.join(" "))}`;
    case "commands":
      return `_minmaxq_words ${quoted(names.join(" "))}`;
    case "files":
      return `_minmaxq_files ${of.endings.map((ending) => quoted(ending)).join(" ")}`.trimEnd();
    case "folders":
      return "_minmaxq_folders";
    case "free":
      return ":";
  }
}

function commandCase(command: DescribedCommand, names: readonly string[]): string[] {
  const options = command.options.flatMap(wordsOf).join(" ");
  const valued = command.options.flatMap((option) =>
    option.value ? [`        ${wordsOf(option).join("|")}) ${action(option.value.of, names)}; return ;;`] : [],
  );
  const [first] = command.positionals;
  return [
    `    ${command.name})`,
    '      case "$prev" in',
    ...valued,
    "      esac",
    `      if [[ "$cur" == -* ]]; then _minmaxq_words ${quoted(options)}; return; fi`,
    `      ${action(first?.of ?? { kind: "free" }, names)} ;;`,
  ];
}

export function bashScript({ program, commands, common }: Described): string {
  const names = commands.map(({ name }) => name);
  const first = [...names, "help", "--help", "--version", ...common.flatMap(wordsOf)];
  return `# bash completion for ${program}: eval "$(${program} completion bash)"
_minmaxq_words() {
  COMPREPLY=($(compgen -W "$1" -- "$cur"))
}
_minmaxq_lines() {
  local IFS=$'\\n'
  compopt -o filenames 2>/dev/null
  COMPREPLY=($(cat))
}
_minmaxq_files() {
  if (($# == 0)); then _minmaxq_lines < <(compgen -f -- "$cur"); return; fi
  _minmaxq_lines < <(
    compgen -d -- "$cur"
    for ending in "$@"; do compgen -f -X "!*$ending" -- "$cur"; done
  )
}
_minmaxq_folders() {
  _minmaxq_lines < <(compgen -d -- "$cur")
}
_minmaxq() {
  local cur prev command='' i
  cur="\${COMP_WORDS[COMP_CWORD]}"
  prev="\${COMP_WORDS[COMP_CWORD - 1]}"
  # Bash takes --option=value for three words.
  if [[ "$cur" == '=' ]]; then
    cur=''
  elif [[ "$prev" == '=' ]]; then
    prev="\${COMP_WORDS[COMP_CWORD - 2]}"
  fi
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i]}" in
    ${[...names, "help"].join("|")})
      command="\${COMP_WORDS[i]}"
      break
      ;;
    esac
  done
  case "$command" in
    '') _minmaxq_words ${quoted(first.join(" "))} ;;
    help) _minmaxq_words ${quoted(names.join(" "))} ;;
${commands.flatMap((command) => commandCase(command, names)).join("\n")}
  esac
}
complete -F _minmaxq ${program}
`;
}
