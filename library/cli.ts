#!/usr/bin/env node
/** `npx minmaxq …`: starts the executable with the same words and streams, and ends as it does. */
import { spawn } from "node:child_process";
import { executablePath } from "./executable.ts";

/** Of a terminal both get them; from elsewhere only this process does. The executable takes two at once for one. */
const PASSED_ON = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

function fail(error: unknown): void {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}

try {
  const child = spawn(executablePath(), process.argv.slice(2), { stdio: "inherit" });
  for (const signal of PASSED_ON) process.on(signal, () => void child.kill(signal));
  child.on("error", fail);
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    // As it ended, so does this: a shell tells them apart.
    for (const each of PASSED_ON) process.removeAllListeners(each);
    process.kill(process.pid, signal);
  });
} catch (error) {
  fail(error);
}
