/** Memory of this process. */
import { readFileSync } from "node:fs";

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
  return process.resourceUsage().maxRSS * 1024;
}
