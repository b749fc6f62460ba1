/**
 * Golden cases of the reference (../shared/goldens, see its README): which there are, and running one.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { MinmaxqError } from "../../src/base/errors.ts";
import { diffFacts } from "./diff.ts";
import { factsOf, readFacts } from "./facts.ts";

/** Where the goldens are: beside the project. */
export const GOLDENS = join(import.meta.dir, "../../../shared/goldens");

/** One case of a `cases.json`. */
export interface GoldenCase {
  readonly input: string;
  /** Argument lists, run one after the other; an object stands for a config file with that content. */
  readonly steps: readonly (readonly (string | object)[])[];
  /** The facts file of the last output; or … */
  readonly expected?: string;
  /** … the words with which the reference refused. */
  readonly refused?: unknown;
}

/** A case and where it is from. */
export interface Golden extends GoldenCase {
  /** Absolute path of the model's folder. */
  readonly folder: string;
  readonly kind: string;
}

/** equal: as expected. refused, accepted: the reference refused, and we too or not. Everything else is wrong. */
export type Verdict = "equal" | "refused" | "accepted" | "wrong";

export interface Outcome {
  readonly verdict: Verdict;
  /** What is wrong, or the words of a refusal. */
  readonly lines: readonly string[];
}

/** All cases below a folder of the goldens, by kind. */
export function goldensOf(group: string): Map<string, Golden[]> {
  const kinds = new Map<string, Golden[]>();
  for (const model of readdirSync(join(GOLDENS, group)).sort()) {
    const folder = join(GOLDENS, group, model);
    const file = join(folder, "cases.json");
    if (!existsSync(file)) continue;
    const cases: Record<string, GoldenCase> = JSON.parse(readFileSync(file, "utf8"));
    for (const [kind, golden] of Object.entries(cases)) {
      kinds.set(kind, [...(kinds.get(kind) ?? []), { ...golden, folder, kind }]);
    }
  }
  return new Map([...kinds].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Runs a case's steps through `run` (a drop-in front: arguments as words) and compares the last output. */
export async function runGolden(golden: Golden, run: (words: string[]) => Promise<void>): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), "minmaxq-golden-"));
  try {
    let current = join(golden.folder, golden.input);
    for (const [index, step] of golden.steps.entries()) {
      const output = join(folder, `${index}.circle`);
      const words: string[] = [];
      for (const word of step) {
        if (typeof word === "object") await Bun.write(join(folder, "config.json"), JSON.stringify(word));
        words.push(typeof word === "object" ? join(folder, "config.json") : word);
      }
      try {
        await run([...words, current, output]);
      } catch (error) {
        return refusal(golden, error, folder, index);
      }
      if (!existsSync(output)) return { verdict: "wrong", lines: [`step ${index}: no error, but no output`] };
      current = output;
    }
    if (golden.expected === undefined) return { verdict: "accepted", lines: [] };
    const lines = diffFacts(readFacts(join(golden.folder, golden.expected)), factsOf(current));
    return { verdict: lines.length > 0 ? "wrong" : "equal", lines };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** An error is right only where the reference refused too, in words for people, and with nothing left behind. */
function refusal(golden: Golden, error: unknown, folder: string, index: number): Outcome {
  if (!(error instanceof MinmaxqError)) {
    const text = error instanceof Error ? (error.stack ?? String(error)) : String(error);
    return { verdict: "wrong", lines: [`step ${index}: crashed: ${text.split("\n").slice(0, 4).join(" | ")}`] };
  }
  if (golden.expected !== undefined) return { verdict: "wrong", lines: [`step ${index}: refused: ${error.message}`] };
  if (error.message === "" || error.message.includes("    at ")) {
    return { verdict: "wrong", lines: [`step ${index}: refused without clear words: "${error.message}"`] };
  }
  const ours = new Set(["config.json", ...Array.from({ length: index }, (_, step) => `${step}.circle`)]);
  const left = readdirSync(folder).filter((name) => !ours.has(name));
  if (left.length > 0) return { verdict: "wrong", lines: [`step ${index}: refused, but left ${left.join(", ")}`] };
  return { verdict: "refused", lines: [error.message] };
}

/** "Conv2D_004 u8-channel" */
export function titleOf({ folder, kind }: Golden): string {
  return `${basename(folder)} ${kind}`;
}
