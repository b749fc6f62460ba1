/**
 * Terminals and colours without Node's objects for the standard streams: making one takes 14 ms, which is longer than all the rest
 * of a start. What needs such an object (a progress bar) or the library of colours loads it when there is a terminal.
 */
import { fstatSync, statSync } from "node:fs";
import type { Colors } from "picocolors/types";

export type Colours = Pick<Colors, "bold" | "dim" | "red" | "yellow" | "green" | "cyan">;

/** File descriptors of the standard output and error. */
export type Stream = 1 | 2;

/** Columns where no terminal says any, or one says nothing useful. */
const USUAL = 80;
const LEAST = 40;

const PLAIN: Colours = { bold: String, dim: String, red: String, yellow: String, green: String, cyan: String };

/** Colours for a stream; none where it is no terminal, NO_COLOR is set, or the terminal is dumb. FORCE_COLOR wins. */
export function coloursFor(stream: Stream): Colours {
  const { NO_COLOR, FORCE_COLOR } = process.env;
  const forced = FORCE_COLOR !== undefined && FORCE_COLOR !== "" && FORCE_COLOR !== "0";
  if (!forced && (NO_COLOR || !isTerminal(stream))) return PLAIN;
  return (require("picocolors") as typeof import("picocolors")).createColors(true);
}

/** Whether a stream is a terminal that can move its cursor. */
export function isTerminal(stream: Stream): boolean {
  if (process.env.TERM === "dumb" || !mayBeTerminal(stream)) return false;
  return (require("node:tty") as typeof import("node:tty")).isatty(stream);
}

/** Tells files and pipes, and the device that most scripts send output to, without loading anything. */
function mayBeTerminal(stream: Stream): boolean {
  try {
    const stat = fstatSync(stream);
    // Windows tells nothing of its consoles here.
    if (process.platform === "win32") return true;
    return stat.isCharacterDevice() && stat.rdev !== statSync("/dev/null").rdev;
  } catch {
    return false;
  }
}

/** Columns of the terminal; undefined where there is none: lines for files and programs are whole. */
export function columnsOf(stream: Stream): number | undefined {
  if (!isTerminal(stream)) return undefined;
  const { columns } = stream === 1 ? process.stdout : process.stderr;
  return columns >= LEAST ? columns : USUAL;
}

/** Columns that text is broken for in any case: the terminal's; where there is none, what COLUMNS says, else 80. */
export function textWidthOf(stream: Stream): number {
  const columns = columnsOf(stream) ?? Number(process.env.COLUMNS ?? USUAL);
  return columns >= LEAST ? columns : USUAL;
}
