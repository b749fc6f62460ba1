/**
 * minmaxq for programs (Node.js and Bun): `import { quantize, inspect, compare } from "minmaxq"`.
 *
 * Each function runs the executable with `--json` in a process of its own and gives what it printed. So results, messages and memory are those of
 * the command line, and a crash ends no caller.
 */
import { spawn } from "node:child_process";
import type { Comparison } from "../src/compare/compare.ts";
import type { Report } from "../src/driver/report.ts";
import type { InspectReport } from "../src/inspect/facts.ts";
import { executablePath } from "./executable.ts";
import { COMMAS, type CompareOptions, type QuantizeOptions } from "./options.gen.ts";

export { executablePath } from "./executable.ts";
export type { CompareOptions, InspectReport, QuantizeOptions, Report };

/** What `compare` gives: the metrics of every output, and with `layers` those of every layer. */
export interface CompareReport {
  /** Paths as they were given. */
  readonly float: string;
  readonly quantized: string;
  readonly samples: number;
  /** How the second model was run. */
  readonly ran: Comparison["ran"];
  readonly outputs: Comparison["outputs"];
  readonly layers?: readonly Omit<Comparison["layers"][number], "visq" | "source">[];
  readonly notCompared?: Comparison["notCompared"];
  /** Limits of `failBelow` and `failAbove` that do not hold. */
  readonly broken: readonly string[];
}

/** How the executable is run. */
export interface RunOptions {
  /** Stops it; the promise is rejected with the signal's reason, and nothing is written. */
  readonly signal?: AbortSignal;
  /** Folder that paths count from. */
  readonly cwd?: string;
  /** Called with each line about the work: progress, warnings, notes. */
  readonly onLine?: (line: string) => void;
}

/** The executable refused: a wrong option, model or sample. `message` is its line. */
export class MinmaxqError extends Error {
  override readonly name = "MinmaxqError";

  constructor(
    message: string,
    /** 1: the model, the data or the machine; 2: the options. */
    readonly exitCode: number,
    /** What was printed as JSON all the same: the report of a comparison that breaks a limit. */
    readonly report?: unknown,
  ) {
    super(message);
  }
}

/**
 * Quantizes a model (`minmaxq quantize`). Options are those of the command line in camelCase: `--input-dtype uint8` is `inputDtype: "uint8"`; a
 * list stands for an option that is given several times. Gives the Report, as `--json` prints it. Throws MinmaxqError.
 */
export async function quantize(model: string, options: QuantizeOptions, run: RunOptions = {}): Promise<Report> {
  return (await runJson(["quantize", ...wordsOf(options), "--", model], run)) as Report;
}

/** What is in a model (`minmaxq inspect`). Throws MinmaxqError. */
export async function inspect(model: string, run: RunOptions = {}): Promise<InspectReport> {
  return (await runJson(["inspect", "--", model], run)) as InspectReport;
}

/**
 * Runs a float and a quantized model on the same samples (`minmaxq compare`). Throws MinmaxqError, also where a limit is broken; its `report` has
 * the metrics then.
 */
export async function compare(
  float: string,
  quantized: string,
  options: CompareOptions,
  run: RunOptions = {},
): Promise<CompareReport> {
  return (await runJson(["compare", ...wordsOf(options), "--", float, quantized], run)) as CompareReport;
}

/** Options as words of the command line. */
function wordsOf(options: object): string[] {
  return Object.entries(options).flatMap(([name, value]) => {
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    if (value === undefined || value === false) return [];
    if (value === true) return [flag];
    const values = Array.isArray(value) ? (COMMAS.includes(name) ? [value.join(",")] : value) : [value];
    // Joined, so that a value may begin with a dash.
    return values.map((each) => `${flag}=${each}`);
  });
}

function runJson([command, ...words]: readonly string[], { signal, cwd, onLine }: RunOptions): Promise<unknown> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const child = spawn(executablePath(), [command!, "--json", ...words], { cwd, stdio: ["ignore", "pipe", "pipe"] });
    const stop = () => void child.kill("SIGTERM");
    signal?.addEventListener("abort", stop, { once: true });
    const printed: Buffer[] = [];
    const told: string[] = [];
    let rest = "";
    child.stdout.on("data", (piece: Buffer) => void printed.push(piece));
    child.stderr.setEncoding("utf8").on("data", (piece: string) => {
      const lines = (rest + piece).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        told.push(line);
        onLine?.(line);
      }
    });
    child.on("error", (error) => reject(new MinmaxqError(`minmaxq cannot be started: ${error.message}`, 1)));
    child.on("close", (code, killed) => {
      signal?.removeEventListener("abort", stop);
      if (signal?.aborted) return reject(signal.reason);
      const report = parsed(Buffer.concat(printed).toString());
      if (code === 0 && report !== undefined) return resolve(report);
      if (rest !== "") told.push(rest);
      reject(
        new MinmaxqError(reasonIn(told) ?? `minmaxq ended by ${killed ?? `exit code ${code}`}`, code ?? 1, report),
      );
    });
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The error among what was told: its line and the list below it. */
function reasonIn(lines: readonly string[]): string | undefined {
  const at = lines.findLastIndex((line) => line.startsWith("minmaxq: "));
  if (at < 0) return undefined;
  return [lines[at]!.slice("minmaxq: ".length), ...lines.slice(at + 1)].join("\n").trimEnd();
}
