/**
 * What a batch does with each job, wherever jobs run: hash, skip what is done, run, note the outcome.
 *
 *     job list ─ hash ─▶ key ─ former line ─▶ skip
 *                            └ run (local.ts: a process; queue.ts: a worker) ─▶ results.jsonl, table
 */
import { existsSync } from "node:fs";
import { MinmaxqError, withoutSecrets } from "../base/errors.ts";
import { limitsText } from "./accuracy.ts";
import { writtenBy } from "./job.ts";
import type { JobList, ListedJob } from "./job-list.ts";
import { type FileFacts, Hashes, type Key, keyOfJob } from "./key.ts";
import { DONE, type Outcome, oneLine } from "./outcome.ts";
import { type Former, Results } from "./results.ts";
import type { View } from "./view.ts";

export interface CourseOptions {
  readonly failFast: boolean;
  readonly redo: boolean;
  /** Only jobs that failed the last time. */
  readonly failed?: boolean;
  /** Everything is only looked at. */
  readonly dry?: boolean;
}

/** Why a job has to be done, or that it is done. */
export type StateName = "done" | "redo" | "new" | "failed before" | "changed" | "missing" | "other output";

/** Why a job has to be done, for people. */
export function reasonFor(state: StateName): string {
  return REASONS[state];
}

const REASONS: Readonly<Record<StateName, string>> = {
  done: "done already",
  redo: "--redo",
  new: "new",
  "failed before": "failed the last time",
  changed: "model, samples, settings or version changed",
  missing: "its output is gone",
  "other output": "its output was changed",
};

/** How many jobs run at a time: each takes all cores where it can, but there are stretches where it takes one. */
export function defaultJobs(): number {
  return Math.min(2, navigator.hardwareConcurrency);
}

export class Course {
  readonly results: Results;
  private readonly hashes: Hashes;
  private readonly stopper = new AbortController();
  private readonly outcomes = new Map<ListedJob, Outcome>();
  private stoppedBy: string | undefined;

  readonly list: JobList;

  constructor(
    list: JobList,
    private readonly options: CourseOptions,
    readonly view: View,
  ) {
    this.results = new Results(list.out, options.dry);
    const { failed } = options;
    this.list = failed ? { ...list, jobs: list.jobs.filter((job) => this.results.failureOf(job) !== undefined) } : list;
    this.hashes = new Hashes(this.results.files());
  }

  /** Aborted when nothing more is to be begun, and what runs is to stop. */
  get signal(): AbortSignal {
    return this.stopper.signal;
  }

  /** By a signal of the system. */
  stop(signal: string): void {
    this.stoppedBy ??= signal;
    this.stopper.abort();
  }

  /** The signal's name, when one stopped it. */
  get interruptedBy(): string | undefined {
    return this.stoppedBy;
  }

  hasEnded(job: ListedJob): boolean {
    return this.outcomes.has(job);
  }

  /** The key of a job that has to be done; undefined: it is skipped, cannot be done, or all is stopped. */
  async begin(job: ListedJob): Promise<Key | undefined> {
    if (this.signal.aborted) return undefined;
    try {
      const { key, former, output } = await this.stateOf(job);
      if (!output) return key;
      this.end(job, { seconds: 0, ...DONE.parse(former), status: "skipped" }, key, output);
    } catch (error) {
      if (this.signal.aborted) return undefined;
      if (!(error instanceof MinmaxqError)) throw error;
      this.end(job, { status: "failed", seconds: 0, reason: error.messageBeside(job.model) }, null);
    }
    return undefined;
  }

  /** The job's key, and whether it is done; then also the line that says so. Throws a MinmaxqError when an input cannot be read. */
  async stateOf(job: ListedJob): Promise<{ is: StateName; key: Key; former?: Former; output?: FileFacts }> {
    const key = await keyOfJob(job, this.hashes, this.signal);
    if (this.options.redo) return { is: "redo", key };
    const former = this.results.formerOf(job);
    if (!former) return { is: this.results.failureOf(job) ? "failed before" : "new", key };
    if (former.key !== key.key) return { is: "changed", key };
    if (!writtenBy(job).every((path) => existsSync(path))) return { is: "missing", key };
    const output = await this.asItWas(job, former.sha256);
    return output ? { is: "done", key, former, output } : { is: "other output", key };
  }

  /** Whether the output is there with this hash already, and that is enough. */
  async accepts(job: ListedJob, sha256: string): Promise<boolean> {
    return !this.options.redo && (await this.asItWas(job, sha256)) !== undefined;
  }

  private async asItWas(job: ListedJob, sha256: string): Promise<FileFacts | undefined> {
    if (!writtenBy(job).every((path) => existsSync(path))) return undefined;
    const facts = await this.hashes.of(job.output, this.signal);
    return facts.sha256 === sha256 ? facts : undefined;
  }

  /** Notes what became of a job, once. */
  end(job: ListedJob, outcome: Outcome, key: Key | null, output?: FileFacts, more: object = {}): void {
    if (this.outcomes.has(job)) return;
    const clean = "reason" in outcome ? { ...outcome, reason: this.told(job, outcome.reason) } : outcome;
    this.outcomes.set(job, clean);
    this.results.add(job, clean, key, output, more);
    this.view.ended(job.shown, clean);
    if (clean.status === "failed" && this.options.failFast) this.stopper.abort();
  }

  /** A job that was run: the key counts only if the inputs are still what was hashed. */
  async endRun(job: ListedJob, outcome: Outcome, key: Key, more: object = {}): Promise<void> {
    if (outcome.status === "done" && outcome.accuracy?.broken.length) {
      const { seconds, accuracy } = outcome;
      const reason = accuracy.broken.join("; ");
      return this.end(
        job,
        { status: "failed", seconds, reason, group: limitsText(job.options), accuracy },
        null,
        undefined,
        more,
      );
    }
    const unchanged = outcome.status === "done" && (await this.isStill(job, key));
    this.end(job, outcome, unchanged ? key : null, undefined, more);
  }

  private async isStill(job: ListedJob, { key }: Key): Promise<boolean> {
    try {
      return (await keyOfJob(job, this.hashes)).key === key;
    } catch {
      return false;
    }
  }

  /** A reason in one line, with the model's name as the list has it. */
  private told(job: ListedJob, reason: string): string {
    return oneLine(withoutSecrets(reason)).replaceAll(job.model, job.written);
  }

  /** All jobs in the list's order; those that never ended are stopped. */
  rows(): { job: ListedJob; shown: string; outcome: Outcome }[] {
    const stopped: Outcome = { status: "stopped", seconds: 0, reason: "" };
    return this.list.jobs.map((job) => ({ job, shown: job.shown, outcome: this.outcomes.get(job) ?? stopped }));
  }
}
