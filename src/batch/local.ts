/** A batch on this machine: so many jobs at a time, each in a process that does nothing else meanwhile. */
import type { Course } from "./course.ts";
import type { ListedJob } from "./job-list.ts";
import { isAbandoned, Processes, removeLeftovers } from "./process.ts";

/** Runs all jobs of the list, with `isolate` each in a process of its own; ends early when the course is stopped, with nothing left behind. */
export async function runLocal(course: Course, count: number, isolate = false): Promise<void> {
  const waiting = [...course.list.jobs];
  const processes = new Processes(isolate ? 0 : count);
  const slot = async () => {
    for (let job = waiting.shift(); job && !course.signal.aborted; job = waiting.shift())
      await runOne(course, job, processes);
  };
  try {
    await Promise.all(Array.from({ length: Math.min(count, waiting.length) }, slot));
  } finally {
    await processes.close();
  }
}

async function runOne(course: Course, job: ListedJob, processes: Processes): Promise<void> {
  course.view.started(job.shown);
  course.view.progress(job.shown, "hashing", 0, 1);
  const key = await course.begin(job);
  if (!key) return;
  course.view.progress(job.shown, "quantizing", 0, 1);
  removeLeftovers(job, isAbandoned);
  const started = performance.now();
  const onProgress = (what: string, done: number, total: number) => course.view.progress(job.shown, what, done, total);
  const end = await processes.run(job, onProgress, course.signal);
  const seconds = (performance.now() - started) / 1000;
  if (end.kind === "stopped") return;
  if (end.kind === "failed") return course.end(job, { status: "failed", seconds, reason: end.reason }, null);
  const { kind: _, ...done } = end;
  await course.endRun(job, { status: "done", seconds, ...done }, key);
}
