/** Commands that wind down by themselves when they are interrupted (src/cli/main.ts ends all others at once). */

import { MinmaxqError } from "./errors.ts";

/** Exit codes of shells: 128 and the signal's number. */
export const SIGNAL_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** The exit code after a signal, by its name. */
export function signalCode(signal: string): number {
  return SIGNAL_CODES[signal as keyof typeof SIGNAL_CODES] ?? 1;
}

/** A signal ended the work before it was done. Exit code as shells have it. */
export class StoppedError extends MinmaxqError {
  override readonly exitCode: number;

  constructor(signal: string, message: string) {
    super(message, { code: "stopped" });
    this.name = "StoppedError";
    this.exitCode = signalCode(signal);
  }
}

/** Milliseconds in which further signals are the same one: launchers pass on what the terminal sent to all already. */
const SAME = 500;

/** Milliseconds of one thread's work after which others of its events (signals) are let through. */
export const PAUSE_EVERY = 50;

/** To be awaited between pieces of long work: lets signals through every so often, and says when it did. */
export function passingSignals(): () => Promise<boolean> {
  let paused = performance.now();
  return async () => {
    if (performance.now() - paused < PAUSE_EVERY) return false;
    await new Promise((resume) => setImmediate(resume));
    paused = performance.now();
    return true;
  };
}

let listener: ((signal: string) => void) | undefined;
let passed: number | undefined;

/** Calls `wind` at the first signal, once; the next one ends the process at once. */
export function windDown(wind: (signal: string) => void): void {
  listener = wind;
}

/** Gives the signal to the command that wants it. False: no command does, or it has had one and takes too long. */
export function passInterrupt(signal: string): boolean {
  if (!listener) return false;
  if (passed !== undefined) return performance.now() - passed < SAME;
  passed = performance.now();
  listener(signal);
  return true;
}
