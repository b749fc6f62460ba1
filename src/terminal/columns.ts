/** Text in columns of a terminal: nothing is broken but at spaces, so that terminals break no word. */
import { filled, wrapped } from "./table.ts";

/** Columns that text never takes more of: longer lines are hard to read. */
const MOST = 100;
/** Columns that terms may take; longer ones get a line of their own. */
const TERMS = 26;

/** Each paragraph in lines of at most `width` columns. */
function broken(text: string, width: number): string[] {
  return text.split("\n").flatMap((each) => wrapped(each.replace(/ +/g, " "), width));
}

/** Terms and what they mean, side by side: `  --json  print JSON`. A long term stands above its text. */
export function items(rows: readonly (readonly [term: string, text: string])[], width: number): string[] {
  const room = Math.min(width, MOST);
  const terms = Math.min(TERMS, Math.max(0, ...rows.map(([term]) => term.length)));
  const indent = " ".repeat(2 + terms + 2);
  return rows.flatMap(([term, text]) => {
    const lines = text === "" ? [] : broken(text, room - indent.length);
    if (term.length > terms) return [`  ${term}`, ...lines.map((line) => indent + line)];
    const [first = "", ...rest] = lines;
    return [`  ${term.padEnd(terms)}  ${first}`.trimEnd(), ...rest.map((line) => indent + line)];
  });
}

/** Paragraphs of at most `width` columns. */
export function paragraph(text: string, width: number): string[] {
  return broken(text, Math.min(width, MOST));
}

/**
 * A command line of a shell: broken behind words with a backslash, so that it can be copied. A comment behind it (`…   # why`) that does not
 * fit stands above it.
 */
export function commandLines(command: string, width: number): string[] {
  const room = Math.min(width, MOST) - 2;
  if (command.length <= room) return [`  ${command}`];
  const [, line = command, comment] = /^(.*?)\s+# (.*)$/.exec(command) ?? [];
  const above = comment === undefined ? [] : wrapped(comment, room - 2).map((each) => `  # ${each}`);
  // Spaces in quotes are none between words; an option and its value, and what stands behind a pipe, stay together.
  const words = line.match(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g) ?? [];
  const chunks: string[] = [];
  for (const word of words) {
    const last = chunks.at(-1);
    const isValue = last !== undefined && /^(-{1,2}[\w-]+|\||>)$/.test(last) && !word.startsWith("-");
    if (isValue && last.length + word.length < room - 8) chunks[chunks.length - 1] = `${last} ${word}`;
    else chunks.push(word);
  }
  const [first = "", ...rest] = filled(chunks, room - 2, { end: " \\" });
  return [...above, `  ${first}`, ...rest.map((each) => `    ${each}`)];
}
