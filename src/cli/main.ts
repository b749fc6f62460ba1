#!/usr/bin/env bun
/** argv → command → exit code: the only file that prints errors or exits. */
import { basename } from "node:path";
import pkg from "../../package.json" with { type: "json" };
import { MinmaxqError, reasonOf } from "../base/errors.ts";
import { passInterrupt } from "../base/interrupt.ts";
import { removeTemporaryFiles } from "../base/temporary.ts";
import { addPast, keepTimings, takeSpans } from "../base/timings.ts";
import { CHILD_WORD } from "../batch/messages.ts";
import type { Output } from "../commands/command.ts";
import { commonValues } from "../options/common.ts";
import { ReaderGone, terminal } from "../terminal/output.ts";
import { coloursFor } from "../terminal/streams.ts";

interface Front {
  run(words: readonly string[], output: Output): Promise<void>;
  help(): string;
}

/** Each is loaded when it is asked for: what is not needed costs a start nothing. */
const FRONTS: Readonly<Record<string, () => Promise<Front>>> = {
  "circle-quantizer": async () => (await import("../drop-in/circle-quantizer.ts")).FRONT,
  "record-minmax": async () => (await import("../drop-in/record-minmax.ts")).FRONT,
  "circle-eval-diff": async () => (await import("../drop-in/circle-eval-diff.ts")).FRONT,
};

function frontOf(name: string) {
  return Object.hasOwn(FRONTS, name) ? FRONTS[name] : undefined;
}

/** A drop-in front by its name as first word, or by the executable's own name. */
async function run(words: readonly string[]): Promise<void> {
  const byName = frontOf(basename(process.argv0, ".exe"));
  const load = byName ?? frontOf(words[0] ?? "");
  // Known without loading anything.
  if (!load && words.length === 1 && ["--version", "-V"].includes(words[0]!)) return terminal.print(pkg.version);
  if (!load && words[0] === CHILD_WORD) return (await import("../batch/child.ts")).runChild();
  if (!load) return (await import("./program.ts")).runProgram(words, terminal);
  const rest = byName ? words : words.slice(1);
  if (rest[0] === "--version") return terminal.print(`minmaxq ${pkg.version}`);
  const front = await load();
  if (rest.includes("-h") || rest.includes("--help")) return terminal.print(front.help());
  return front.run(rest, terminal);
}

function report(error: unknown, verbose: boolean): number {
  // A reader that has seen enough (head) is no error.
  if (error instanceof ReaderGone) return 0;
  const colours = coloursFor(2);
  const expected = error instanceof MinmaxqError;
  const text = expected
    ? error.message
    : `internal error: ${reasonOf(error)}; please report it with the model and the output of --verbose`;
  terminal.tell(`${colours.red("minmaxq:")} ${text}`);
  if (verbose && error instanceof Error) terminal.tell(error.stack ?? "");
  return expected ? error.exitCode : 1;
}

function interrupted(signal: string): void {
  if (passInterrupt(signal)) return;
  removeTemporaryFiles();
  terminal.tell(`minmaxq: stopped by ${signal}; nothing was written`);
  process.exit(1);
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => interrupted(signal));

/** Runs the command; with `--timings` or `--trace` tells where the time went, also when it failed. Gives the exit code. */
async function main(words: readonly string[]): Promise<number> {
  let code = 0;
  const fail = (error: unknown) => {
    code = report(error, words.includes("--verbose"));
  };
  try {
    const { timings, trace } = commonValues(words);
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
    if (timings) for (const line of timingsTable(spans, performance.timeOrigin, ended)) terminal.tell(line);
    if (trace !== undefined) writeTrace(trace, spans, performance.timeOrigin);
  } catch (error) {
    fail(error);
  }
  return code;
}

process.exit(await main(process.argv.slice(2)));
