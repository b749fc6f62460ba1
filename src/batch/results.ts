/**
 * results.jsonl: a journal. Each run adds one line per job as jobs end; of several lines with one output the last one counts.
 *
 * A line is written in one piece, after an end of line where a former run was killed in the middle of one; what is no whole
 * line is passed over when reading. So nothing that a run did before it was killed is lost, and several may write at once.
 */
import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { join, relative } from "node:path";
import { z } from "zod";
import pkg from "../../package.json" with { type: "json" };
import { FileError, reasonOf } from "../base/errors.ts";
import { type ListedJob, RESULTS } from "./job-list.ts";
import type { FileFacts, Key } from "./key.ts";
import { DONE, type Outcome } from "./outcome.ts";

const FACTS = z.object({ path: z.string(), size: z.number(), stamp: z.string(), sha256: z.string() });

/** What of a line the next run goes by: that something is done. */
const LINE = DONE.extend({
  output: z.string(),
  status: z.enum(["done", "skipped"]),
  key: z.string(),
  files: z.array(FACTS),
});
export type Former = z.infer<typeof LINE>;

/** What of a failure's line is told again. */
const FAILURE = z.object({
  output: z.string(),
  status: z.literal("failed"),
  reason: z.string(),
  group: z.string().optional(),
});
export type FormerFailure = z.infer<typeof FAILURE>;

export class Results {
  readonly path: string;
  /** The last success by output. */
  private readonly former = new Map<string, Former>();
  /** The last failure by output, where nothing came after it. */
  private readonly failures = new Map<string, FormerFailure>();
  private readonly run = new Date().toISOString();

  /** Reads what former runs left in the folder, which is made unless all is only looked at (`dry`). Throws a MinmaxqError when that cannot be. */
  constructor(
    private readonly folder: string,
    dry = false,
  ) {
    this.path = join(folder, RESULTS);
    if (dry && !existsSync(this.path)) return;
    try {
      if (!dry) {
        mkdirSync(folder, { recursive: true });
        // Now and not when the first job has ended, which may be hours later.
        closeSync(openSync(this.path, "a"));
      }
      this.takeAll();
    } catch (error) {
      throw new FileError(
        this.path,
        `cannot be ${dry ? "read" : "written"} (${reasonOf(error)}); give another folder with --out`,
        {
          cause: error,
        },
      );
    }
  }

  private takeAll(): void {
    for (const line of readFileSync(this.path, "utf8").split("\n")) this.take(line);
  }

  private take(text: string): void {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return;
    }
    const output = (value as { output?: unknown } | null)?.output;
    if (typeof output !== "string") return;
    const failure = FAILURE.safeParse(value);
    if (failure.success) this.failures.set(output, failure.data);
    else this.failures.delete(output);
    const line = LINE.safeParse(value);
    if (line.success) this.former.set(output, line.data);
    else this.former.delete(output);
  }

  /** The last run's line, if it was a success. */
  formerOf(job: ListedJob): Former | undefined {
    return this.former.get(this.nameOf(job));
  }

  /** The last run's failure, if it was one. */
  failureOf(job: ListedJob): FormerFailure | undefined {
    return this.failures.get(this.nameOf(job));
  }

  /** Everything known of files, for hashes that need not be made again. */
  files(): FileFacts[] {
    return [...this.former.values()].flatMap(({ files }) => files).filter(({ stamp }) => stamp !== "");
  }

  /** Adds a job's line. `key` is null where the inputs changed under way: then it is done again the next time. */
  add(job: ListedJob, outcome: Outcome, key: Key | null, output?: FileFacts, more: object = {}): void {
    const { status, seconds, ...rest } = outcome;
    const line = {
      model: job.written,
      output: this.nameOf(job),
      status,
      seconds: Math.round(seconds * 1000) / 1000,
      ...rest,
      options: optionsOf(job),
      key: key?.key,
      files: [...(key?.inputs ?? []), ...(output ? [output] : [])],
      ...more,
      version: pkg.version,
      run: this.run,
      at: new Date().toISOString(),
    };
    try {
      append(this.path, JSON.stringify(line));
    } catch (error) {
      throw new FileError(this.path, `cannot be written (${reasonOf(error)})`, { cause: error });
    }
  }

  /** Relative, so that the folder may be moved. */
  private nameOf(job: ListedJob): string {
    return relative(this.folder, job.output);
  }
}

/** The entry's options, without model and output. */
function optionsOf({ entry }: ListedJob): object {
  const { model: _, output: __, ...options } = entry;
  return options;
}

function append(path: string, line: string): void {
  const fd = openSync(path, existsSync(path) ? "a+" : "ax+");
  try {
    const { size } = fstatSync(fd);
    const last = new Uint8Array(1);
    const torn = size > 0 && readSync(fd, last, 0, 1, size - 1) === 1 && last[0] !== 10;
    const bytes = Buffer.from(`${torn ? "\n" : ""}${line}\n`);
    if (writeSync(fd, bytes) < bytes.length) throw new Error("the disk is full");
  } finally {
    closeSync(fd);
  }
}
