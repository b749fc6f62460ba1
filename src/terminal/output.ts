/** What people see: lines, colours only on a terminal, progress. */
import { writeSync } from "node:fs";
import type { SingleBar } from "cli-progress";
import { MinmaxqError, reasonOf, withoutSecrets } from "../base/errors.ts";
import type { Output } from "../base/output.ts";
import { isTerminal } from "./streams.ts";

/** Seconds between two progress lines where there is no terminal. */
const LINE_EVERY = 10;

/** The reader of stdout has closed it: there is no use in going on. */
export class ReaderGone extends Error {}

export const terminal: Output = {
  print(line) {
    try {
      writeNow(1, `${line}\n`);
    } catch (error) {
      if (codeOf(error) === "EPIPE") throw new ReaderGone("stdout is closed", { cause: error });
      throw new MinmaxqError(`the standard output cannot be written (${reasonOf(error)})`, { cause: error });
    }
  },
  tell(line) {
    hideBar();
    try {
      writeNow(2, `${line}\n`);
    } catch {
      // No reader; the work itself goes on.
    }
  },
  progress: (what) => (isTerminal(2) ? bar(what) : lines(what)),
};

/**
 * Names in a model may hold anything; of control characters only ends of lines, tabs and colours reach a terminal. Passwords do
 * not, either.
 */
function harmless(text: string): string {
  return withoutSecrets(text).replace(/[\x00-\x08\x0b-\x1a\x1c-\x1f]|\x1b(?!\[\d+m)/g, "\ufffd");
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
function bar(what: string): (done: number, total: number) => void {
  return (done, total) => {
    if (!shown) {
      const { Presets, SingleBar } = require("cli-progress") as typeof import("cli-progress");
      const format = `${what} {bar} {value}/{total} {eta_formatted}`;
      shown = new SingleBar({ format, stream: screen(), clearOnComplete: true }, Presets.shades_classic);
      shown.start(total, done);
    }
    shown.update(done);
    if (done >= total) hideBar();
  };
}

/** A line every so often: for logs. Short work needs none. */
function lines(what: string): (done: number, total: number) => void {
  let last = performance.now();
  return (done, total) => {
    const now = performance.now();
    if (now - last < LINE_EVERY * 1000) return;
    last = now;
    terminal.tell(`${what} ${done}/${total}`);
  };
}
