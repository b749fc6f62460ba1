/** Options that every command and every drop-in front takes; src/cli/main.ts acts on them. */
import { resolve } from "node:path";
import { UsageError } from "../base/errors.ts";

export interface CommonOption {
  readonly name: string;
  /** How many words follow; what they are called in help. */
  readonly value?: string;
  readonly help: string;
}

export const COMMON_OPTIONS: readonly CommonOption[] = [
  { name: "--verbose", help: "print stack traces of errors; with --version, what this program was made of" },
  { name: "--quiet", help: "print nothing but errors (and JSON, where it is asked for)" },
  { name: "--timings", help: "print how long each phase took, with bytes and GB/s" },
  {
    name: "--trace",
    value: "file",
    help: "write a trace for Perfetto or Chrome (chrome://tracing), one track per thread",
  },
];

export interface CommonValues {
  readonly verbose: boolean;
  readonly quiet: boolean;
  readonly timings: boolean;
  readonly trace: string | undefined;
}

/** Finds the common options among all words. Throws a UsageError for a trace that would overwrite a file that is named elsewhere. */
export function commonValues(words: readonly string[]): CommonValues {
  const at = words.findIndex((word) => word === "--trace" || word.startsWith("--trace="));
  const word = words[at];
  const trace = word === undefined ? undefined : word === "--trace" ? words[at + 1] : word.slice("--trace=".length);
  if (trace !== undefined) {
    const others = words.filter((_, i) => i !== at && (word !== "--trace" || i !== at + 1));
    if (trace === "") throw new UsageError("--trace: the path is empty; give a file name");
    if (others.some((other) => resolve(other) === resolve(trace)))
      throw new UsageError(`--trace: ${trace} is also a file of the command; give another path`);
  }
  return {
    verbose: words.includes("--verbose"),
    quiet: words.includes("--quiet"),
    timings: words.includes("--timings"),
    trace,
  };
}
