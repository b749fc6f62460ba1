/**
 * BEGINNING EARLY: a Worker takes weights while the main thread still runs passes and encodes tables.
 *
 *     main     open ─ import ─▶ begin ─ passes ─ export ─ tables ─▶ takes part in what is left ─ biases ─ verify
 *     Worker                      └────▶ weights ▶ file ──────────────────────────────────────┘
 *
 * What becomes of a weight is known long before the rest of its file. Its description is made once, early, and the pass that decides
 * finds that one (`shared` in passes/context.ts). Its place is planned (model/layout.ts), behind room for the tables. Where
 * passes decide otherwise, or the room is too small, all is done as if nobody had begun. That depends on the model and the
 * options alone, so the number of threads cannot show. Weights that have to be scanned first need no place for that.
 */
import type { FillTarget } from "../model/index.ts";
import type { Constant } from "./constant.ts";
import type { Job } from "./tasks.ts";
import { isHelperUp, Sharing, type Work } from "./threads.ts";

/** The work that somebody began early. */
let early: Sharing | undefined;

/** Lets a Worker begin, if one is up. `output`: the file under way; scans need none. */
export function beginEarly(work: Work, jobs: readonly Job[], output?: string): void {
  if (!isHelperUp()) return;
  early = new Sharing(work, jobs, output);
  early.ask(2);
}

/** The work that was begun, if all of it is `wanted` and goes to the file that is written. */
export async function takeEarly(target: FillTarget, wanted: ReadonlySet<Constant>): Promise<Sharing | undefined> {
  const taken = early;
  const isWanted =
    (taken?.output === undefined || taken.output === target.path) &&
    taken?.jobs.every(({ constant }) => wanted.has(constant));
  if (!isWanted) return stopEarly();
  early = undefined;
  return taken;
}

/** Ends work that nobody wants. */
export async function stopEarly(): Promise<undefined> {
  const stopped = early;
  early = undefined;
  await stopped?.stop();
}
