/** Commands that wind down by themselves when they are interrupted (src/main.ts ends all others at once). */

let listener: ((signal: string) => void) | undefined;

/** Calls `wind` at the first signal, once; the second one ends the process at once. */
export function windDown(wind: (signal: string) => void): void {
  listener = wind;
}

/** Gives the signal to the command that wants it. False: nobody does, or it had one already. */
export function passInterrupt(signal: string): boolean {
  const wind = listener;
  listener = undefined;
  wind?.(signal);
  return wind !== undefined;
}
