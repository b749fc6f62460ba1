/** `--timings` and `--trace`: what was kept (src/base/timings.ts) as a table for people, or as a trace for Perfetto and Chrome. */
import { writeFileSync } from "node:fs";
import { FileError, reasonOf } from "../base/errors.ts";
import { sizeText } from "../base/text.ts";
import type { Span } from "../base/timings.ts";

/** The phases of the table in the order of the work; everything else is detail for the trace. */
const PHASES = ["start", "open", "prepare", "scan", "record", "passes", "stream", "write", "run"] as const;
/** What a thread does with each piece, see src/weights/encode.ts. */
const PIECE_WORK = ["read", "scan piece", "scan and encode", "encode", "wait", "write piece"] as const;

interface Row {
  milliseconds: number;
  bytes: number;
}

const lengthOf = ({ start, end }: Span) => end - start;

function sums<Name extends string>(names: readonly Name[], spans: readonly Span[], own: (span: Span) => number) {
  const rows = new Map<Name, Row>(names.map((name) => [name, { milliseconds: 0, bytes: 0 }]));
  for (const span of spans) {
    const row = rows.get(span.name as Name);
    if (!row) continue;
    row.milliseconds += own(span);
    row.bytes += span.bytes ?? 0;
  }
  return rows;
}

/** A phase's own time: without the phases inside of it, so that the rows add up. */
function ownTimes(phases: readonly Span[]): Map<Span, number> {
  const own = new Map<Span, number>();
  const around: Span[] = [];
  for (const span of phases.toSorted((a, b) => a.start - b.start || a.depth - b.depth)) {
    while (around.length > 0 && (around.at(-1)!.end <= span.start || around.at(-1)!.depth >= span.depth)) around.pop();
    const parent = around.at(-1);
    if (parent) own.set(parent, own.get(parent)! - lengthOf(span));
    own.set(span, lengthOf(span));
    around.push(span);
  }
  return own;
}

function line(name: string, { milliseconds, bytes }: Row, total: number): string {
  const seconds = (milliseconds / 1000).toFixed(3).padStart(9);
  const share = `${((milliseconds / total) * 100).toFixed(0)} %`.padStart(7);
  const speed = bytes > 0 && milliseconds > 0 ? (bytes / milliseconds / 1e6).toFixed(2) : "";
  return `${name.padEnd(18)}${seconds}${share}${(bytes > 0 ? sizeText(bytes) : "").padStart(11)}${speed.padStart(8)}`.trimEnd();
}

/** The table: one line per phase, and what each thread of the weight stream did. `started`: beginning of the process, ms since 1970. */
export function timingsTable(spans: readonly Span[], started: number, ended: number): string[] {
  const total = ended - started;
  const phases = spans.filter(({ track, name }) => track === "main" && (PHASES as readonly string[]).includes(name));
  const own = ownTimes(phases);
  const rows = sums(PHASES, phases, (span) => own.get(span)!);
  const rest = total - [...rows.values()].reduce((sum, row) => sum + row.milliseconds, 0);
  const lines = [`${"phase".padEnd(18)}  seconds  share      bytes    GB/s`];
  for (const [name, row] of rows) if (row.milliseconds > 0) lines.push(line(name, row, total));
  lines.push(
    line("other", { milliseconds: rest, bytes: 0 }, total),
    line("total", { milliseconds: total, bytes: 0 }, total),
  );
  const threads = Map.groupBy(
    spans.filter(({ name }) => (PIECE_WORK as readonly string[]).includes(name)),
    ({ track }) => track,
  );
  for (const [track, pieces] of threads) {
    const work = sums(PIECE_WORK, pieces, lengthOf);
    lines.push(`thread ${track}`);
    for (const [name, row] of work) if (row.milliseconds > 0) lines.push(line(`  ${name}`, row, total));
  }
  return lines;
}

/** Chrome's trace events: one track per thread, microseconds since the process began. */
export function traceText(spans: readonly Span[], started: number): string {
  const tracks = [...new Set(["main", ...spans.map(({ track }) => track)])];
  const names = tracks.map((name, tid) => ({ ph: "M", name: "thread_name", pid: 1, tid, args: { name } }));
  const events = spans.map(({ name, track, start, end, bytes, detail }) => ({
    ph: "X",
    name,
    pid: 1,
    tid: tracks.indexOf(track),
    ts: Math.round((start - started) * 1000),
    dur: Math.round((end - start) * 1000),
    args: { ...(detail !== undefined && { detail }), ...(bytes !== undefined && { bytes }) },
  }));
  return `{"traceEvents":[\n${[...names, ...events].map((event) => JSON.stringify(event)).join(",\n")}\n]}\n`;
}

/** Writes the trace. Throws a MinmaxqError of one line. */
export function writeTrace(path: string, spans: readonly Span[], started: number): void {
  try {
    writeFileSync(path, traceText(spans, started));
  } catch (error) {
    throw new FileError(path, `the trace cannot be written (${reasonOf(error)}); give another path`, {
      cause: error,
    });
  }
}
