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
import { Results } from "./results.ts";
import type { View } from "./view.ts";

export interface CourseOptions {
  readonly failFast: boolean;
  readonly redo: boolean;
}

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

  constructor(
    readonly list: JobList,
    private readonly options: CourseOptions,
    readonly view: View,
  ) {
    this.results = new Results(list.out);
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
      const key = await keyOfJob(job, this.hashes, this.signal);
      const former = this.options.redo ? undefined : this.results.formerOf(job);
      const output = former?.key === key.key ? await this.asItWas(job, former.sha256) : undefined;
      if (!former || !output) return key;
      this.end(job, { seconds: 0, ...DONE.parse(former), status: "skipped" }, key, output);
    } catch (error) {
      if (this.signal.aborted) return undefined;
      if (!(error instanceof MinmaxqError)) throw error;
      this.end(job, { status: "failed", seconds: 0, reason: error.messageBeside(job.model) }, null);
    }
    return undefined;
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
  rows(): { shown: string; outcome: Outcome }[] {
    const stopped: Outcome = { status: "stopped", seconds: 0, reason: "" };
    return this.list.jobs.map((job) => ({ shown: job.shown, outcome: this.outcomes.get(job) ?? stopped }));
  }
}
