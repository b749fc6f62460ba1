/**
 * `minmaxq worker`: takes jobs from the queue, each in a process of its own, so that this process is always free to renew
 * its hold on them. A worker that gives no sign of life for `--take-over` seconds loses its jobs to another one.
 *
 * What comes from the queue is not trusted: entries pass the checks of job lists, and paths lie below the roots.
 */
import { hostname } from "node:os";
import { type Job as Queued, UnrecoverableError, WaitingError, Worker } from "bullmq";
import pkg from "../../package.json" with { type: "json" };
import { reasonOf } from "../base/errors.ts";
import { windDown } from "../base/interrupt.ts";
import type { Output } from "../base/output.ts";
import { counted } from "../base/text.ts";
import type { OptionValues } from "../options/values.ts";
import { sqnrText } from "./accuracy.ts";
import { defaultJobs } from "./course.ts";
import { type Job, jobOf } from "./job.ts";
import { oneLine, sizesOf } from "./outcome.ts";
import { mayPass } from "./passing.ts";
import { isAbandoned, Processes, removeLeftovers } from "./process.ts";
import type { Answer, News, Payload } from "./queue.ts";
import { type Link, openLink, PREFIX, QUEUE } from "./redis.ts";
import { Roots, titleOf } from "./roots.ts";

/** How often a job may outlive its worker before it is given up. */
const DEATHS = 3;
/** Milliseconds between two messages about a job's progress. */
const NEWS_EVERY = 500;
/** Milliseconds for saying goodbye to the server. */
const GOODBYE = 5000;

export async function runWorker(options: OptionValues, output: Output): Promise<void> {
  const roots = new Roots(options.root ?? []);
  const link = await openLink(options.queue!);
  const count = options.jobs ?? defaultJobs();
  const service = new Service(roots, link, count, options.takeOver * 1000, output);
  output.tell(`${stamp()} minmaxq ${pkg.version}: takes jobs from ${link.shown}, ${count} at a time; Ctrl-C ends`);
  await service.run();
}

/** When a line of the log was written: `2026-11-27T03:41:02Z`. */
function stamp(): string {
  return `${new Date().toISOString().slice(0, 19)}Z`;
}

class Service {
  private readonly name = `${hostname()}:${process.pid}`;
  private readonly worker: Worker<Payload, Answer>;
  private stopped: string | undefined;
  private handedBack = 0;
  /** None is kept: what comes from the queue is not trusted, and one job's model must not meet another's. */
  private readonly processes: Processes;

  constructor(
    private readonly roots: Roots,
    private readonly link: Link,
    concurrency: number,
    private readonly takeOver: number,
    private readonly output: Output,
  ) {
    this.processes = new Processes(0, roots.folders);
    this.worker = new Worker<Payload, Answer>(QUEUE, (job, token, signal) => this.work(job, token!, signal!), {
      connection: link.client(),
      prefix: PREFIX,
      name: this.name,
      concurrency,
      lockDuration: takeOver,
      stalledInterval: takeOver / 2,
      maxStalledCount: DEATHS,
      drainDelay: 2,
      runRetryDelay: 1000,
      autorun: false,
    });
    // The link tells of connections, the jobs' lines of the rest.
    this.worker.on("error", () => {});
    this.worker.on("lockRenewalFailed", (ids) => {
      for (const id of ids) this.worker.cancelJob(id);
    });
    this.stopWithoutConnection();
  }

  /** Without a connection the hold on jobs cannot be renewed: they end here before another worker may take them. */
  private stopWithoutConnection(): void {
    let timer: Timer | undefined;
    this.link.onChange((connected) => {
      clearTimeout(timer);
      this.log(`${this.link.shown}: ${connected ? "connected again" : "the connection is lost, trying again"}`);
      if (!connected) timer = setTimeout(() => this.worker.cancelAllJobs(), this.takeOver * 0.4);
    });
  }

  async run(): Promise<void> {
    const interrupted = new Promise<string>((resolve) => windDown(resolve));
    const running = this.worker.run();
    try {
      const signal = await Promise.race([interrupted, this.link.lost, running.then(() => "its queue")]);
      this.stopped = signal;
      await this.worker.pause(true);
      this.worker.cancelAllJobs();
      await Promise.race([this.worker.close(), Bun.sleep(GOODBYE)]);
      const what = this.handedBack > 0 ? `; ${counted(this.handedBack, "job")} handed back` : "";
      this.log(`stopped by ${signal}${what}`);
    } finally {
      this.worker.cancelAllJobs();
      this.link.close();
    }
  }

  private log(line: string): void {
    this.output.tell(`${stamp()} ${line}`);
  }

  private async work(queued: Queued<Payload, Answer>, token: string, signal: AbortSignal): Promise<Answer> {
    const job = this.checked(queued);
    const title = titleOf(job);
    // Begun before: what its former process may have left belongs to no process.
    const again = queued.attemptsStarted > 1;
    this.log(`${again ? "taken over or again" : "taken"}: ${title}`);
    removeLeftovers(job, again ? () => true : isAbandoned);
    const started = performance.now();
    const end = await this.processes.run(job, this.newsOf(queued), signal);
    const seconds = (performance.now() - started) / 1000;
    if (end.kind === "stopped") return this.giveBack(queued, token, title);
    if (end.kind === "failed") throw this.failure(title, end.reason, end.mayPass);
    const { kind: _, ...done } = end;
    const { accuracy } = done;
    const far = accuracy ? `, SQNR ${sqnrText(accuracy)}` : "";
    const broken = accuracy?.broken.length ? "; it breaks its limit" : "";
    this.log(
      `done: ${title}, ${sizesOf({ status: "done", seconds, ...done })}, ${seconds.toFixed(1)} s${far}${broken}`,
    );
    return { ...done, seconds, worker: this.name };
  }

  private checked(queued: Queued<Payload>): Job {
    try {
      return this.roots.confine(jobOf((queued.data as Payload | undefined)?.entry));
    } catch (error) {
      throw this.failure("a job", reasonOf(error), mayPass(error));
    }
  }

  private failure(title: string, text: string, mayPass: boolean): Error {
    const reason = oneLine(text);
    this.log(`failed: ${title}: ${reason}${mayPass ? " (may pass)" : ""}`);
    return mayPass ? new Error(reason) : new UnrecoverableError(reason);
  }

  private async giveBack(queued: Queued<Payload>, token: string, title: string): Promise<never> {
    if (this.stopped === undefined) {
      this.log(`given up: ${title}: the hold on it was lost; another worker takes it`);
      throw new Error("the worker lost its hold on the job");
    }
    await queued.moveToWait(token);
    this.handedBack++;
    throw new WaitingError();
  }

  private newsOf(queued: Queued<Payload>): (what: string, done: number, total: number) => void {
    let last = 0;
    return (what, done, total) => {
      const now = performance.now();
      if (now - last < NEWS_EVERY) return;
      last = now;
      const news: News = { what, done, total };
      queued.updateProgress(news).catch(() => {});
    };
  }
}
