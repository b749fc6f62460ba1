/** Text in a terminal's columns. */
import { allShortened, wrapped } from "../terminal/table.ts";

/** Columns of text where there is no terminal. */
const USUAL = 80;

/** The text in lines of at most `width` columns, whatever spaces and line breaks it came with. */
export function paragraph(text: string, width = USUAL): string[] {
  return wrapped(text.replace(/\s+/g, " "), width);
}

/** A table: its columns as wide as they need, but the first, which takes what is left of `width`. `right`: columns of numbers. */
export interface Table {
  /** Lines without colours, and the texts that were put together, by row and column. */
  readonly lines: readonly (readonly string[])[];
  /** Columns of a line. */
  readonly width: number;
}

/** Cells padded to columns. */
export function padded(rows: readonly (readonly string[])[], right: readonly number[], width?: number): Table {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => Bun.stringWidth(row[i]!))));
  const others = widths.slice(1).reduce((sum, each) => sum + each + 2, 0);
  if (width !== undefined) widths[0] = Math.min(widths[0]!, Math.max(12, width - others));
  const [head, ...names] = allShortened(
    rows.map(([name]) => name!),
    widths[0]!,
  );
  const firsts = [head!, ...names];
  const lines = rows.map((row, index) =>
    row.map((text, i) => {
      const shown = i === 0 ? firsts[index]! : text;
      const space = " ".repeat(Math.max(0, widths[i]! - Bun.stringWidth(shown)));
      return right.includes(i) ? space + shown : shown + space;
    }),
  );
  return { lines, width: widths.reduce((sum, each) => sum + each + 2, -2) };
}
