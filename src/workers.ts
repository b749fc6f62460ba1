/**
 * Starting Workers. This file lies directly in src/ because the compiled executable resolves Worker addresses against
 * its own root, where the entry points keep their folders: the same relative address works from source and compiled.
 */

/** Folders in src/ that have a worker.ts; build.ts lists them too. */
export type WorkerName = "weights" | "engine" | "compare" | "accuracy" | "search";

/** A Worker running src/NAME/worker.ts. */
export function startWorker(name: WorkerName): Worker {
  return new Worker(new URL(`./${name}/worker.ts`, import.meta.url).href);
}
