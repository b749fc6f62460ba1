/** The Report as JSON: what programs read (docs/terminal.md). */
import type { Report } from "../driver/report.ts";

/** All of it, tensors included. */
export function jsonText(report: Report): string {
  return JSON.stringify(report, null, 2);
}
