/**
 * Tables, lists and names that fit a width: THE place where names are shortened and lines are broken. A width is a number of terminal
 * cells; undefined is no terminal, where nothing is shortened and no line is broken.
 */
import type { Output } from "../base/output.ts";
import { columnsOf } from "./streams.ts";

export type Width = number | undefined;

export interface Column {
  readonly heading?: string;
  readonly align?: "right";
  /** Names, which lose their middle where the width does not suffice. One column of a table. */
  readonly shrinks?: true;
}

/** What stays of a name at least. */
const LEAST = 12;
/** What stays at least of a name that stands in a sentence. */
const LEAST_IN_TEXT = 24;
const GAP = "  ";

/** Cells that a text takes; colours take none. */
export function cells(text: string): number {
  return Bun.stringWidth(text);
}

/** A name without what ends lines or commands a terminal. */
export function plain(name: string): string {
  return name.replace(/[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, "\ufffd");
}

/**
 * A name in at most `width` cells: `model/…/block_3/conv` keeps its beginning, and more of its end, which tells layers apart. The same
 * name always becomes the same.
 */
export function shortened(name: string, width: Width): string {
  const text = plain(name);
  if (width === undefined || cells(text) <= width) return text;
  if (width < 2) return "…".slice(0, width);
  const characters = [...text];
  const head = taken(characters, Math.floor((width - 1) / 3));
  const tail = taken(characters.toReversed(), width - 1 - cells(head));
  return `${head}…${[...tail].toReversed().join("")}`;
}

/** Names in at most `width` cells. Those that shortening would make alike are shortened at their start; where that does, too, they stay whole. */
export function allShortened(names: readonly string[], width: number): string[] {
  const alone = (list: readonly string[], name: string) => list.indexOf(name) === list.lastIndexOf(name);
  const short = names.map((name) => shortened(name, width));
  const ends = names.map((name, i) => {
    const letters = [...plain(name)];
    return alone(short, short[i]!) ? short[i]! : `…${letters.slice(letters.length - width + 1).join("")}`;
  });
  return ends.map((name, i) => (alone(ends, name) ? name : plain(names[i]!)));
}

/** A sentence whose names in double quotes lose their middle: one takes half of a line at most. */
export function withShortNames(text: string, width: Width): string {
  if (width === undefined) return text;
  const room = Math.max(LEAST_IN_TEXT, Math.floor(width / 2)) - 2;
  return text.replace(/"([^"\n]+)"/g, (_, name: string) => `"${shortened(name, room)}"`);
}

/** Lines of a report: names in quotes lose their middle, and what does not fit a line goes on below, indented further. */
export function fitted(lines: readonly string[], width: Width): string[] {
  return lines.flatMap((line) =>
    wrapped(withShortNames(line, width), width, `${/^ */.exec(line)![0]}    `).map((each) => each.trimEnd()),
  );
}

/** Prints lines of a report as they fit the terminal. */
export function printFitted({ print }: Pick<Output, "print">, lines: readonly string[]): void {
  for (const line of fitted(lines, columnsOf(1))) print(line);
}

/** As many of the characters as fit. */
function taken(characters: readonly string[], width: number): string {
  let text = "";
  let used = 0;
  for (const character of characters) {
    used += cells(character);
    if (used > width) break;
    text += character;
  }
  return text;
}

/** Rows as lines with columns of equal widths, two spaces between them, and none at their ends. */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: Width,
  heading: (text: string) => string = String,
): string[] {
  const all = columns.some((column) => column.heading)
    ? [columns.map((column) => column.heading ?? ""), ...rows]
    : rows;
  const shrinking = columns.findIndex(({ shrinks }) => shrinks);
  const clean = all.map((row) => row.map((cell, at) => (at === shrinking ? plain(cell) : cell)));
  const widths = columns.map((_, at) => Math.max(0, ...clean.map((row) => cells(row[at]!))));
  if (width !== undefined && shrinking >= 0) {
    const others = widths.reduce((sum, each, at) => sum + (at === shrinking ? 0 : each + GAP.length), 0);
    widths[shrinking] = Math.min(widths[shrinking]!, Math.max(LEAST, width - others));
  }
  const lines = clean.map((row) =>
    row
      .map((cell, at) => {
        const text = at === shrinking ? shortened(cell, widths[at]) : cell;
        const rest = " ".repeat(Math.max(0, widths[at]! - cells(text)));
        return columns[at]!.align === "right" ? rest + text : text + rest;
      })
      .join(GAP)
      .trimEnd(),
  );
  return lines.map((line, at) => (at === 0 && all !== rows ? heading(line) : line));
}

/** Words as lines of at most `width` cells, the following ones indented; no word is broken, so one that is longer stands alone. */
export function wrapped(text: string, width: Width, indent = ""): string[] {
  if (width === undefined) return [text];
  const start = /^ */.exec(text)![0];
  return filled(text.slice(start.length).split(" "), width, { start, indent });
}

/** The same of words that may have spaces; `end` is put behind every line but the last, and counts. */
export function filled(words: readonly string[], width: number, { start = "", indent = "", end = "" }): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of words) {
    const before = line === "" ? (lines.length === 0 ? start : indent) : `${line} `;
    if (line !== "" && cells(before + word + end) > width) {
      lines.push(line.trimEnd() + end);
      line = indent + word;
    } else line = before + word;
  }
  return [...lines, line];
}

/** `label  text`, the text broken below itself. A word that is longer than a line (a path, a name) loses its middle. */
export function labelled(label: string, text: string, width: Width, indent: number): string[] {
  const room = width && width - indent;
  const words = text.split(" ").map((word) => shortened(word, room));
  return wrapped(`${label.padEnd(indent)}${words.join(" ")}`, width, " ".repeat(indent));
}
