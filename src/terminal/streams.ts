/**
 * Terminals and colours without Node's objects for the standard streams: making one takes 14 ms, which is longer than all the rest
 * of a start. What needs such an object (a progress bar) or the library of colours loads it when there is a terminal.
 */
import { fstatSync, statSync } from "node:fs";
import type { Colors } from "picocolors/types";

export type Colours = Pick<Colors, "bold" | "dim" | "red" | "yellow" | "green" | "cyan">;

/** File descriptors of the standard output and error. */
export type Stream = 1 | 2;

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

/** Columns of a stream's terminal; where it is none, what COLUMNS says, else 80. */
export function columnsOf(stream: Stream): number {
  const said = isTerminal(stream) ? (stream === 1 ? process.stdout : process.stderr).columns : undefined;
  const columns = said ?? Number(process.env.COLUMNS ?? 80);
  return columns >= 40 ? columns : 80;
}
