#!/usr/bin/env bun
/**
 * Where the executable starts: a large model gets a process whose compiler waits.
 *
 * A run is a second at most, and a large model keeps all cores busy with its weights. JavaScriptCore meanwhile compiles what ran a
 * few hundred times, on those very cores: a tenth of the run, for code that is done by the time. How long it waits can be told only
 * in the environment of a process that starts, so this one becomes another (execve: same process id, same streams), which takes 4 ms.
 * Without that call, on Windows and when run from source, everything works as well, a little slower.
 */
import { statSync } from "node:fs";

const PATIENCE = {
  BUN_JSC_useDFGJIT: "0",
  BUN_JSC_largeHeapSize: `${64 << 20}`,
};
/** Bytes of a file from which it is worth it. */
const LARGE = 256 << 20;

/** Whether one of the words is a large file. A word that is none costs a look. */
function isLarge(word: string): boolean {
  if (word.startsWith("-")) return false;
  try {
    return (statSync(word, { throwIfNoEntry: false })?.size ?? 0) >= LARGE;
  } catch {
    return false;
  }
}

const isPatient = Object.keys(PATIENCE).some((name) => name in process.env);
if (Bun.isStandaloneExecutable && !isPatient && process.platform !== "win32" && process.argv.slice(2).some(isLarge)) {
  try {
    const again = [process.argv0, ...process.argv.slice(2)];
    (process as unknown as Execve).execve?.(process.execPath, again, { ...process.env, ...PATIENCE });
  } catch {
    // Then this process does the work.
  }
}
await import("./main.ts");

interface Execve {
  execve?(file: string, args: readonly string[], env: NodeJS.ProcessEnv): never;
}
