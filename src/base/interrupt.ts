/** Commands that wind down by themselves when they are interrupted (src/cli/main.ts ends all others at once). */

/** Milliseconds in which further signals are the same one: launchers pass on what the terminal sent to all already. */
const SAME = 500;

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
