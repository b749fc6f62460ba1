/** Commands of a Markdown page: what stands in its code blocks, and what is shown below it. */

export interface DocumentedCommand {
  /** Of the page's lines, from 1. */
  readonly line: number;
  /** As the shell gets it: one line, without comment. */
  readonly text: string;
  /** It is marked with `# not run here`. */
  readonly isMarked: boolean;
  /** The lines shown below it, up to the next command or text. */
  readonly shown: readonly string[];
}

/** Lines of code blocks (indented by four spaces and more, or fenced) without their indentation; undefined for text, "" for blank lines. */
function codeOf(page: string): (string | undefined)[] {
  let fence: string | undefined;
  return page.split("\n").map((line) => {
    const mark = /^\s*(```+|~~~+)/.exec(line)?.[1];
    if (mark !== undefined && (fence === undefined || mark.startsWith(fence))) {
      fence = fence === undefined ? mark : undefined;
      return undefined;
    }
    if (fence !== undefined) return line;
    if (line.trim() === "") return "";
    return /^ {4}/.test(line) ? line.slice(4) : undefined;
  });
}

/** Commands of ours on a page: lines that begin with `minmaxq `, also after `$ `; with lines that a backslash goes on to. */
export function commandsOf(page: string): DocumentedCommand[] {
  const code = codeOf(page);
  const commands: (DocumentedCommand & { shown: string[] })[] = [];
  let last: (typeof commands)[number] | undefined;
  for (let i = 0; i < code.length; i++) {
    const begin = code[i]?.replace(/^\s*(\$ )?/, "");
    if (begin === undefined || (/^\s*[#$] /.test(code[i]!) === true && !begin.startsWith("minmaxq "))) {
      last = undefined;
      continue;
    }
    if (!begin.startsWith("minmaxq ")) {
      last?.shown.push(code[i]!);
      continue;
    }
    const line = i + 1;
    let text = begin;
    while (/\\$/.test(text)) text = `${text.slice(0, -1).trimEnd()} ${code[++i]!.trim()}`;
    last = { line, text: text.replace(/ +# .*$/, ""), isMarked: / # not run here/.test(text), shown: [] };
    commands.push(last);
  }
  return commands;
}

/** JSON that stands in a code block and begins with these letters, so that docs' files are what the test runs with. */
export function jsonOf(page: string, begin: RegExp): string | undefined {
  const code = codeOf(page);
  for (const [i, line] of code.entries()) {
    if (!line?.trimStart().startsWith("{")) continue;
    const rest = code.slice(i);
    const end = rest.findIndex((each) => each === undefined || each === "");
    const text = rest.slice(0, end < 0 ? undefined : end).join("\n");
    if (begin.test(text)) return text;
  }
  return undefined;
}
