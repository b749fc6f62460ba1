#!/usr/bin/env bun
/** argv → command → exit code: the only file that prints errors or exits. */
import { basename } from "node:path";
import pkg from "../../package.json" with { type: "json" };
import { Answered, MinmaxqError, reasonOf, shortageText } from "../base/errors.ts";
import { passInterrupt, SIGNAL_CODES, signalCode } from "../base/interrupt.ts";
import { removeTemporaryFiles } from "../base/temporary.ts";
import { addPast, keepTimings, takeSpans } from "../base/timings.ts";
import { CHILD_WORD } from "../batch/messages.ts";
import { commonValues } from "../options/common.ts";
import { beQuiet, complain, ReaderGone, terminal } from "../terminal/output.ts";
import { coloursFor } from "../terminal/streams.ts";
import { frontFor } from "./commands.ts";

/** A drop-in front by its name as first word, or by the executable's own name. */
async function run(words: readonly string[]): Promise<void> {
  const front = frontFor(basename(process.argv0, ".exe"), words) ?? helpedFront(words);
  // Known without loading anything.
  if (!front && words.length === 1 && asksVersion(words[0]!)) return terminal.print(pkg.version);
  if (!front && words.length === 2 && words.includes("--verbose") && words.some(asksVersion)) {
    for (const line of (await import("./provenance.ts")).provenanceLines()) terminal.print(line);
    return;
  }
  if (!front && words[0] === CHILD_WORD) return (await import("../batch/child.ts")).runChild();
  if (!front) return (await import("./program.ts")).runProgram(words, terminal);
  if (front.words[0] === "--version") return terminal.print(`minmaxq ${pkg.version}`);
  const { text, run, help } = await front.row.load();
  if (text.short?.[front.words[0] ?? ""] === "--version") return terminal.print(`minmaxq ${pkg.version}`);
  if (front.words.includes("-h") || front.words.includes("--help")) return terminal.print(help());
  return run(front.words, terminal);
}

function asksVersion(word: string): boolean {
  return word === "--version" || word === "-V";
}

/** `help FRONT` is `FRONT --help`. */
function helpedFront(words: readonly string[]): ReturnType<typeof frontFor> {
  return words[0] === "help" ? frontFor("", [...words.slice(1), "--help"]) : undefined;
}

function report(error: unknown, verbose: boolean): number {
  // A reader that has seen enough (head) is no error.
  if (error instanceof ReaderGone) return 0;
  if (error instanceof Answered) return error.exitCode;
  const colours = coloursFor(2);
  const expected = error instanceof MinmaxqError;
  const text = expected
    ? error.message
    : (shortageText(error) ??
      `internal error: ${reasonOf(error)}; please report it with the model and the output of --verbose`);
  complain(`${colours.red("minmaxq:")} ${text}`);
  if (verbose && error instanceof Error) complain(error.stack ?? "");
  return expected ? error.exitCode : 1;
}

function interrupted(signal: string): void {
  if (passInterrupt(signal)) return;
  removeTemporaryFiles();
  complain(`minmaxq: stopped by ${signal}; nothing was written`);
  process.exit(signalCode(signal));
}

for (const signal of Object.keys(SIGNAL_CODES)) process.on(signal, () => interrupted(signal));

/** Runs the command; with `--timings` or `--trace` tells where the time went, also when it failed. Gives the exit code. */
async function main(words: readonly string[]): Promise<number> {
  let code = 0;
  const fail = (error: unknown) => {
    code = report(error, words.includes("--verbose"));
  };
  try {
    const { quiet, timings, trace } = commonValues(words);
    if (quiet) beQuiet(words.includes("--json"));
    if (!timings && trace === undefined) {
      await run(words);
      return code;
    }
    keepTimings();
    addPast("start", performance.timeOrigin);
    await run(words).catch(fail);
    const { timingsTable, writeTrace } = await import("../terminal/timings-table.ts");
    const ended = performance.timeOrigin + performance.now();
    const spans = takeSpans();
    if (timings) for (const line of timingsTable(spans, performance.timeOrigin, ended)) complain(line);
    if (trace !== undefined) writeTrace(trace, spans, performance.timeOrigin);
  } catch (error) {
    fail(error);
  }
  return code;
}

process.exit(await main(process.argv.slice(2)));
