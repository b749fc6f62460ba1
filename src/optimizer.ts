/**
 * Environment of a process that does without JavaScriptCore's optimizing compiler: it optimizes what ran a few hundred times, which
 * helps those who run JavaScript for seconds, and takes up to half of the time of those who do not.
 */
export const WITHOUT_OPTIMIZER: Readonly<Record<string, string>> = {
  BUN_JSC_useDFGJIT: "0",
  // Garbage of the tables and of the stream is collected when there is so much of it, not at every few MB.
  BUN_JSC_largeHeapSize: `${64 << 20}`,
};
