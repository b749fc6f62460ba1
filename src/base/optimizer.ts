/**
 * When JavaScriptCore compiles JavaScript. Compiling pays for those who run it for seconds (samples through a model), and takes up to
 * half of the time of those who do not: most commands are over in a tenth of a second, in code that runs for the first time.
 *
 * - The executable starts patient (build.ts): everything waits twenty times as long as usual to be compiled at all. A 1 MB model takes
 *   38 ms instead of 45.
 * - `compileAsUsual` ends that, for this thread: called where something runs for long.
 * - A process that streams a large model is between the two: simple compilation pays, optimization does not. What runs a hundred
 *   thousand times (expanding sparse weights) is optimized all the same. That can only be told in the environment of a process that
 *   starts: see start.ts.
 */

/** What build.ts sets: usual thresholds times this. */
export const PATIENCE_AT_START = 20;

export function compileAsUsual(): void {
  if (Bun.isStandaloneExecutable) Bun.unsafe.setJITPolicy(1);
}

/** Environment of a process that does nothing but stream weights. A thousand rounds are usual. */
export const LATE_OPTIMIZER: Readonly<Record<string, string>> = {
  BUN_JSC_thresholdForOptimizeAfterWarmUp: "100000",
  BUN_JSC_thresholdForOptimizeSoon: "100000",
  BUN_JSC_thresholdForOptimizeAfterLongWarmUp: "100000",
  // Garbage of the tables and of the stream is collected when there is so much of it, not at every few MB. 64 MB save no time,
  // and cost 5 MB of memory.
  BUN_JSC_largeHeapSize: `${16 << 20}`,
};

/** Environment of a process that runs samples beside others: garbage is collected by one thread (a tenth less computing; the heap is small). */
export const ONE_COLLECTOR: Readonly<Record<string, string>> = { BUN_JSC_numberOfGCMarkers: "1" };

/** Whether this process was started with that environment: it streams a large model. */
export const optimizesLate = (): boolean => Object.keys(LATE_OPTIMIZER).some((name) => name in process.env);

/**
 * Collects what tables and passes left, where a large model's weights are about to be written: 4 MB less at the peak of a 1 GB model, for
 * 6 ms beside threads that work.
 */
export function collectBeforeStream(): void {
  if (optimizesLate()) Bun.gc(true);
}
