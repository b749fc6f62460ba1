/** What people see: lines, colours only on a terminal, progress. */
import { writeSync } from "node:fs";
import type { SingleBar } from "cli-progress";
import { MinmaxqError, reasonOf, withoutSecrets } from "../base/errors.ts";
import type { Output, Progress, Unit } from "../base/output.ts";
import { withPlainNames } from "../base/plain.ts";
import { Pace } from "./pace.ts";
import { columnsOf, isTerminal, textWidthOf } from "./streams.ts";
import { fitted } from "./table.ts";

/** Seconds between two progress lines where there is no terminal. */
const LINE_EVERY = 10;

/** What writing says when the reader has closed its end; EOF says Windows. */
const GONE: readonly unknown[] = ["EPIPE", "EOF"];

/** The reader of stdout has closed it: there is no use in going on. */
export class ReaderGone extends Error {}

/** What --quiet leaves out: all but errors; results, too, unless JSON was asked for. */
let quiet: { readonly results: boolean } | undefined;

/** From now on nothing is said but errors, and results where they are wanted. */
export function beQuiet(wantsResults: boolean): void {
  quiet = { results: !wantsResults };
}

/** Whether nothing is to be said but errors: for what draws on the screen by itself. */
export function isQuiet(): boolean {
  return quiet !== undefined;
}

/** A line about what is wrong, on stderr, whatever else is left out. */
export function complain(line: string): void {
  hideBar();
  try {
    writeNow(2, `${line}\n`);
  } catch {
    // No reader; the work itself goes on.
  }
}

export const terminal: Output = {
  print(line) {
    if (quiet?.results) return;
    try {
      writeNow(1, `${line}\n`);
    } catch (error) {
      if (GONE.includes(codeOf(error))) throw new ReaderGone("stdout is closed", { cause: error });
      throw new MinmaxqError(`the standard output cannot be written (${reasonOf(error)})`, { cause: error });
    }
  },
  tell(line) {
    if (!quiet) complain(fitted(line.split("\n"), columnsOf(2)).join("\n"));
  },
  progress(what, unit) {
    if (quiet) return () => {};
    return isTerminal(2) ? bar(what, unit) : lines(what, unit);
  },
};

/** Control characters, the direction of text among them; and escapes other than picocolors' for bold, dim and colours. */
const COMMANDS =
  /[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|\x1b(?!\[(?:1|2|22|3[1236]|39)m)/g;

/**
 * Names in a model may hold anything; of control characters only tabs, colours and our own ends of lines reach a terminal. Passwords do
 * not, either.
 */
function harmless(text: string): string {
  return withPlainNames(withoutSecrets(text)).replace(COMMANDS, "\ufffd");
}

/** Writes all of `text` before it returns: what a stream still holds when the process exits is lost. */
function writeNow(fd: number, text: string): void {
  const bytes = Buffer.from(harmless(text));
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(fd, bytes, done);
    } catch (error) {
      // A pipe that another process has made non-blocking is full.
      if (codeOf(error) !== "EAGAIN") throw error;
      Bun.sleepSync(1);
    }
  }
}

function codeOf(error: unknown): unknown {
  return (error as NodeJS.ErrnoException | null)?.code;
}

/** The bar on the screen. */
let shown: SingleBar | undefined;
/** Several bars on the screen, which another module draws (src/batch/view.ts). */
let others: { stop(): void } | undefined;

/** Has `bars` stopped before anything else is written. */
export function drawnBy(bars: { stop(): void } | undefined): void {
  others = bars;
}

/** A bar hides the cursor and switches wrapping off, so it has to be stopped before anything else is written. */
function hideBar(): void {
  shown?.stop();
  shown = undefined;
  others?.stop();
  others = undefined;
}

/** Standard error as the stream that bars are drawn on. That it has no reader any more is no error. */
export function screen(): NodeJS.WriteStream {
  const { stderr } = process;
  if (stderr.listenerCount("error") === 0) stderr.on("error", () => {});
  return stderr;
}

/** A bar on stderr that disappears when it is done. */
function bar(what: string, unit?: Unit): Progress {
  const pace = new Pace(unit);
  let own: SingleBar | undefined;
  return (done, total, part) => {
    if (done >= total) {
      if (own && shown === own) hideBar();
      return;
    }
    const text = fitting(`${what} ${pace.text(done, total, part)}`, textWidthOf(2) - BAR - 3);
    if (!shown || shown !== own) {
      hideBar();
      const { Presets, SingleBar } = require("cli-progress") as typeof import("cli-progress");
      const format = "{bar} {text}";
      shown = new SingleBar(
        { format, stream: screen(), clearOnComplete: true, barsize: BAR, hideCursor: true },
        Presets.shades_classic,
      );
      own = shown;
      shown.start(total, done, { text });
    }
    shown.update(done, { text });
  };
}

/** Columns of a bar beside its text. */
const BAR = 16;

/** Whole phrases of the text, as many as fit. */
function fitting(text: string, columns: number): string {
  let fit = text;
  while (fit.length > columns && fit.includes(", ")) fit = fit.slice(0, fit.lastIndexOf(", "));
  return fit.slice(0, columns);
}

/** A line every so often: for logs. Short work needs none. */
function lines(what: string, unit?: Unit): Progress {
  const pace = new Pace(unit);
  let last = performance.now();
  return (done, total, part) => {
    const text = pace.text(done, total, part);
    const now = performance.now();
    if (now - last < LINE_EVERY * 1000) return;
    last = now;
    terminal.tell(`${what} ${text}`);
  };
}
