/**
 * A batch through a queue: puts what has to be done on it, follows what workers do, and notes the outcome.
 *
 * A job's name in the queue is the hash of all it depends on and of its place, so one that is queued or running already is
 * joined, not done twice. Events tell what happens; since they may be missed while a connection is lost, jobs of which nothing
 * was heard are looked up, too.
 */
import { randomUUID } from "node:crypto";
import { Queue, type Job as Queued, QueueEvents } from "bullmq";
import { z } from "zod";
import { MinmaxqError } from "../base/errors.ts";
import { counted } from "../base/text.ts";
import type { Course } from "./course.ts";
import type { ListedJob } from "./job-list.ts";
import { idOfJob, type Key } from "./key.ts";
import { DONE } from "./outcome.ts";
import { type Link, PREFIX, QUEUE } from "./redis.ts";

/** What the queue carries. */
export interface Payload {
  readonly entry: unknown;
  /** Who put it there. */
  readonly submitter: string;
}

/** What a worker gives back. */
export const ANSWER = DONE.extend({ seconds: z.number(), worker: z.string() });
export type Answer = z.infer<typeof ANSWER>;

/** What a worker tells while it works. */
const NEWS = z.object({ what: z.string(), done: z.number(), total: z.number() });
export type News = z.infer<typeof NEWS>;

/** Tries of a job whose failure may pass, and the first wait between two, in milliseconds; each is twice the last. */
const ATTEMPTS = 4;
const BACKOFF = 2000;
/** Seconds for which ended jobs stay in the server, for submitters that missed the event. */
const KEPT = 3600;
/** Milliseconds between two looks at the jobs, and until it is worth telling that no worker takes them. */
const LOOK_EVERY = 3000;
/** Jobs of one look. */
const LOOK_AT = 200;
/** How often a job that was removed from the queue is put back. */
const PUT_BACK = 3;

interface Open {
  readonly job: ListedJob;
  readonly key: Key;
  vanished: number;
}

/** Runs all jobs of the list on the queue's workers. */
export async function runQueue(course: Course, link: Link): Promise<void> {
  const submission = new Submission(course, link);
  try {
    await Promise.race([submission.run(), link.lost]);
  } finally {
    await submission.close();
  }
}

class Submission {
  private readonly queue: Queue<Payload>;
  private readonly events: QueueEvents;
  private readonly open = new Map<string, Open>();
  private readonly submitter = randomUUID();
  /** Jobs that are being put there. */
  private readonly adding = new Set<Promise<void>>();
  private submitted = false;
  private heard = false;
  private readonly finished = Promise.withResolvers<void>();

  constructor(
    private readonly course: Course,
    private readonly link: Link,
  ) {
    this.queue = new Queue(QUEUE, { connection: link.client(), prefix: PREFIX });
    this.events = new QueueEvents(QUEUE, { connection: link.client(), prefix: PREFIX });
    this.queue.on("error", () => {});
    this.events.on("error", () => {});
    link.onChange((connected) =>
      course.view.tell(`${link.shown}: ${connected ? "connected again" : "the connection is lost, trying again"}`),
    );
  }

  async run(): Promise<void> {
    await this.events.waitUntilReady();
    this.listen();
    const { signal } = this.course;
    const stopped = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    const looking = setInterval(() => void this.look().catch((error) => this.broken(error)), LOOK_EVERY);
    try {
      await Promise.race([this.submitAll().then(() => this.finished.promise), stopped]);
      if (signal.aborted) await this.withdraw();
    } finally {
      clearInterval(looking);
    }
  }

  /** The outcome cannot be noted; of connections the link tells. */
  private broken(error: unknown): void {
    if (error instanceof MinmaxqError) this.finished.reject(error);
  }

  private async submitAll(): Promise<void> {
    for (const job of this.course.list.jobs) {
      const key = await this.course.begin(job);
      if (this.course.signal.aborted) return;
      if (key) await this.submit(idOfJob(job, key.key), { job, key, vanished: 0 });
    }
    this.submitted = true;
    this.finishIfAll();
  }

  private async submit(id: string, open: Open): Promise<void> {
    const adding = this.add(id, open);
    this.adding.add(adding);
    await adding.finally(() => this.adding.delete(adding));
  }

  private async add(id: string, open: Open): Promise<void> {
    this.open.set(id, open);
    const old = await this.queue.getJob(id);
    if (old?.finishedOn) {
      // Done for a submitter that did not wait for it.
      if (await this.isDone(open.job, old)) return this.done(id, old.returnvalue);
      // It would stand in the way of being done again. One that has not ended is joined.
      await old.remove().catch(() => {});
    }
    if (this.course.signal.aborted) return;
    const payload: Payload = { entry: open.job.entry, submitter: this.submitter };
    await this.queue.add("quantize", payload, {
      jobId: id,
      attempts: ATTEMPTS,
      backoff: { type: "exponential", delay: BACKOFF },
      removeOnComplete: { age: KEPT },
      removeOnFail: { age: KEPT },
    });
  }

  private async isDone(job: ListedJob, queued: Queued<Payload>): Promise<boolean> {
    const answer = ANSWER.safeParse(queued.returnvalue);
    return answer.success && (await this.course.accepts(job, answer.data.sha256));
  }

  private listen(): void {
    const { view } = this.course;
    const about = (jobId: string, work: (open: Open) => unknown) => {
      const open = this.open.get(jobId);
      if (!open) return;
      this.heard = true;
      // Thrown in a listener it would get lost.
      Promise.try(work, open).catch((error) => this.broken(error));
    };
    this.events.on("active", ({ jobId }) => about(jobId, ({ job }) => view.started(job.shown)));
    this.events.on("progress", ({ jobId, data }) =>
      about(jobId, ({ job }) => {
        const news = NEWS.safeParse(data);
        if (news.success) view.progress(job.shown, news.data.what, news.data.done, news.data.total);
      }),
    );
    this.events.on("stalled", ({ jobId }) =>
      about(jobId, ({ job }) => view.tell(`${job.shown}: its worker is gone; it waits for another one`)),
    );
    this.events.on("delayed", ({ jobId }) =>
      about(jobId, ({ job }) => view.tell(`${job.shown}: failed, but that may pass; it will be tried again`)),
    );
    this.events.on("completed", ({ jobId, returnvalue }) => about(jobId, () => this.done(jobId, returnvalue)));
    this.events.on("failed", ({ jobId, failedReason }) => about(jobId, () => this.failed(jobId, failedReason)));
  }

  private async done(id: string, value: unknown): Promise<void> {
    const open = this.take(id);
    if (!open) return;
    const answer = ANSWER.safeParse(value);
    if (answer.success) {
      const { seconds, worker, ...done } = answer.data;
      await this.course.endRun(open.job, { status: "done", seconds, ...done }, open.key, { worker });
    } else {
      this.course.end(open.job, { status: "failed", seconds: 0, reason: "the worker's answer is none" }, null);
    }
    this.finishIfAll();
  }

  private failed(id: string, reason: string): void {
    const open = this.take(id);
    if (!open) return;
    const stalled = /stalled more than/.test(reason);
    const told = stalled ? "every worker that took it died; perhaps it needs more memory than they have" : reason;
    this.course.end(open.job, { status: "failed", seconds: 0, reason: told }, null);
    this.finishIfAll();
  }

  private take(id: string): Open | undefined {
    const open = this.open.get(id);
    this.open.delete(id);
    return open;
  }

  private finishIfAll(): void {
    if (this.submitted && this.open.size === 0 && this.course.list.jobs.every((job) => this.course.hasEnded(job)))
      this.finished.resolve();
  }

  /** Looks up open jobs, for events that were missed; those looked at go to the end of the row. */
  private async look(): Promise<void> {
    for (const [id, open] of [...this.open].slice(0, LOOK_AT)) {
      const queued = await this.queue.getJob(id);
      if (!this.open.has(id)) continue;
      if (!queued) await this.putBack(id, open);
      else if (queued.finishedOn) await this.conclude(id, queued);
      else {
        this.open.delete(id);
        this.open.set(id, open);
      }
    }
    if (!this.heard && this.open.size > 0) await this.tellIfAlone();
  }

  private async conclude(id: string, queued: Queued<Payload>): Promise<void> {
    if (await queued.isFailed()) this.failed(id, queued.failedReason);
    else await this.done(id, queued.returnvalue);
  }

  /** Another submitter, which had put the job there, took it away when it was stopped. */
  private async putBack(id: string, open: Open): Promise<void> {
    if (this.course.signal.aborted) return;
    if (++open.vanished <= PUT_BACK) return this.submit(id, open);
    this.failed(id, "it is removed from the queue by another program");
  }

  private async tellIfAlone(): Promise<void> {
    if ((await this.queue.getWorkersCount()) > 0) return;
    this.heard = true;
    const start = `minmaxq worker --queue ${this.link.shown} --root FOLDER`;
    this.course.view.tell(
      `waiting: no worker takes jobs of this version from ${this.link.shown}; start one with '${start}'`,
    );
  }

  /** Takes back what this submitter put there and no worker has begun; what runs goes on. */
  private async withdraw(): Promise<void> {
    // What is on its way cannot be found there yet, and would be left there.
    await Promise.allSettled(this.adding);
    let [withdrawn, running] = [0, 0];
    for (const id of this.open.keys()) {
      const queued = await this.queue.getJob(id);
      if (!queued || queued.finishedOn) continue;
      const mine = queued.data.submitter === this.submitter && !(await queued.isActive());
      // A job that a worker has taken meanwhile cannot be removed.
      const removed =
        mine &&
        (await queued.remove().then(
          () => true,
          () => false,
        ));
      if (removed) withdrawn++;
      else running++;
    }
    const what = `${counted(withdrawn, "job")} taken back from the queue`;
    this.course.view.tell(
      running > 0
        ? `${what}; ${counted(running, "job")} that workers have begun or others wait for will be done`
        : what,
    );
  }

  async close(): Promise<void> {
    this.link.close();
    await Promise.allSettled(
      [this.queue.close(), this.events.close()].map((each) => Promise.race([each, Bun.sleep(500)])),
    );
  }
}
