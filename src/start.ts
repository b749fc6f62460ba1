#!/usr/bin/env bun
/**
 * Where the executable starts: a process that only streams a large model's weights becomes one that optimizes late (optimizer.ts).
 *
 * It stays the same process to everything else (execve: same id, same streams), which takes some 10 ms; a 100 MB model takes 108
 * instead of 127. Which commands run models, so that they stay as they are, says the table of commands. Without that call, on Windows and
 * when run from source, everything works as well, slower.
 */
import { basename } from "node:path";
import { compileAsUsual, LATE_OPTIMIZER, optimizesLate } from "./base/optimizer.ts";
import { runsModels } from "./cli/commands.ts";

/** Bytes of a file from which it is worth it. */
const LARGE = 16 << 20;

/** Whether a word is the path of a large file; a path that is no file has size 0. */
function isLarge(word: string): boolean {
  return !word.startsWith("-") && Bun.file(word).size >= LARGE;
}

/** Whether weights are all that there is to do: recording and comparing run JavaScript for long. */
function onlyStreams(words: readonly string[]): boolean {
  return runsModels(basename(process.argv0, ".exe"), words) === false && words.some(isLarge);
}

if (optimizesLate()) compileAsUsual();
else if (Bun.isStandaloneExecutable && process.platform !== "win32" && onlyStreams(process.argv.slice(2))) {
  try {
    const again = [process.argv0, ...process.argv.slice(2)];
    (process as unknown as Execve).execve?.(process.execPath, again, { ...process.env, ...LATE_OPTIMIZER });
  } catch {
    // Then this process does the work.
  }
}
await import("./cli/main.ts");

interface Execve {
  execve?(file: string, args: readonly string[], env: NodeJS.ProcessEnv): never;
}
