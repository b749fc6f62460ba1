/** Memory of this process. */
import { readFileSync, writeFileSync } from "node:fs";

/** Bytes that are resident now; 0 where the system does not tell (Linux without /proc, as in a bare chroot). */
export function residentMemory(): number {
  try {
    return process.memoryUsage.rss();
  } catch {
    return 0;
  }
}

/** Share of a limit from which garbage is collected at once, which the engine leaves lying as long as the machine has memory. */
const NEAR = 0.6;

/** Collects this thread's garbage where the process comes near the bytes that it may have. */
export function collectNear(limit: number | undefined): void {
  if (limit !== undefined && residentMemory() > NEAR * limit) Bun.gc(true);
}

/**
 * Most bytes that were resident so far. Where /proc tells it, as it does: what `resourceUsage` says of a child begins with the memory of its
 * parent.
 */
export function peakMemory(): number {
  try {
    const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    if (kilobytes !== undefined) return Number(kilobytes) * 1024;
  } catch {
    // No /proc: macOS, Windows.
  }
  const { maxRSS } = process.resourceUsage();
  // Kilobytes; some versions of the runtime give macOS's own bytes, which are at least what is resident now.
  return maxRSS > residentMemory() / 2 && maxRSS > 2 ** 24 ? maxRSS : maxRSS * 1024;
}

/** Has the peak begin anew, for the next of several jobs. Where the system cannot, it stays that of all so far. */
export function restartPeak(): void {
  try {
    writeFileSync("/proc/self/clear_refs", "5");
  } catch {
    // No Linux, or not allowed.
  }
}
