#!/usr/bin/env bun
/** argv → command → exit code: the only file that prints errors or exits. */
import { basename } from "node:path";
import pkg from "../package.json" with { type: "json" };
import { CHILD_WORD } from "./batch/messages.ts";
import { coloursFor, ReaderGone, terminal } from "./cli/output.ts";
import { runProgram } from "./cli/program.ts";
import { HELP as CIRCLE_EVAL_DIFF_HELP, runCircleEvalDiff } from "./drop-in/circle-eval-diff.ts";
import { HELP as CIRCLE_QUANTIZER_HELP, runCircleQuantizer } from "./drop-in/circle-quantizer.ts";
import { HELP as RECORD_MINMAX_HELP, runRecordMinmax } from "./drop-in/record-minmax.ts";
import { MinmaxqError, reasonOf } from "./errors.ts";
import { passInterrupt } from "./interrupt.ts";
import { removeTemporaryFiles } from "./model/index.ts";

const FRONTS: Readonly<Record<string, { run(words: readonly string[]): Promise<void>; help(): string }>> = {
  "circle-quantizer": { run: (words) => runCircleQuantizer(words, terminal), help: CIRCLE_QUANTIZER_HELP },
  "record-minmax": { run: (words) => runRecordMinmax(words, terminal), help: RECORD_MINMAX_HELP },
  "circle-eval-diff": { run: (words) => runCircleEvalDiff(words, terminal), help: CIRCLE_EVAL_DIFF_HELP },
};

function frontOf(name: string) {
  return Object.hasOwn(FRONTS, name) ? FRONTS[name] : undefined;
}

/** A drop-in front by its name as first word, or by the executable's own name. */
async function run(words: readonly string[]): Promise<void> {
  const byName = frontOf(basename(process.argv0, ".exe"));
  const front = byName ?? frontOf(words[0] ?? "");
  if (!front && words[0] === CHILD_WORD) return (await import("./batch/child.ts")).runChild();
  if (!front) return runProgram(words, terminal);
  const rest = byName ? words : words.slice(1);
  if (rest.includes("-h") || rest.includes("--help")) return terminal.print(front.help());
  if (rest[0] === "--version") return terminal.print(`minmaxq ${pkg.version}`);
  return front.run(rest);
}

function report(error: unknown, words: readonly string[]): number {
  // A reader that has seen enough (head) is no error.
  if (error instanceof ReaderGone) return 0;
  const colours = coloursFor(process.stderr);
  const verbose = words.includes("--verbose");
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
// The progress bar's stream: nobody is left to be told.
process.stderr.on("error", () => {});

const words = process.argv.slice(2);
try {
  await run(words);
  process.exit(0);
} catch (error) {
  process.exit(report(error, words));
}
