#!/usr/bin/env bun
/**
 * Where the executable starts: a process that only streams a model's weights gets along without the optimizing compiler.
 *
 * Such a run is a second at most, in kernels that are compiled anyway. JavaScriptCore meanwhile optimizes JavaScript that ran a few
 * hundred times, on the very cores that the weights need: a third of the time of a 100 MB model, for code that is done by then.
 * It can be told so only in the environment of a process that starts, so this one becomes another (execve: same process id, same
 * streams), which takes some 8 ms. Recording and comparing run JavaScript for long, and stay as they are. Without that call, on
 * Windows and when run from source, everything works as well, slower.
 */
import { WITHOUT_OPTIMIZER } from "./optimizer.ts";

/** Bytes of a file from which it is worth it. */
const LARGE = 16 << 20;

/** Whether a word is the path of a large file; the size of what is none is 0. */
function isLarge(word: string): boolean {
  return !word.startsWith("-") && Bun.file(word).size >= LARGE;
}

/** Words of those who run models: samples of our commands and of the drop-in fronts. */
function isAboutSamples(word: string): boolean {
  return /^--(data|input_data|first_input_data)\b/.test(word);
}

function onlyStreams(words: readonly string[]): boolean {
  return !words.some(isAboutSamples) && words.some(isLarge);
}

const isTold = Object.keys(WITHOUT_OPTIMIZER).some((name) => name in process.env);
if (Bun.isStandaloneExecutable && !isTold && process.platform !== "win32" && onlyStreams(process.argv.slice(2))) {
  try {
    const again = [process.argv0, ...process.argv.slice(2)];
    (process as unknown as Execve).execve?.(process.execPath, again, { ...process.env, ...WITHOUT_OPTIMIZER });
  } catch {
    // Then this process does the work.
  }
}
await import("./main.ts");

interface Execve {
  execve?(file: string, args: readonly string[], env: NodeJS.ProcessEnv): never;
}
