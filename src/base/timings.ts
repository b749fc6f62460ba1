/**
 * Where the time goes: spans of work, kept only when asked for (`--timings`, `--trace`).
 *
 *     timed("open", () => openModel(path), bytes)
 *
 * A span is work of one thread with a beginning, an end and the bytes that went through it. Spans nest; a phase's own time is
 * its span less the spans inside. Workers keep theirs and send them with their report (`takeSpans`, `addSpans`). The recorder
 * is the only state of the program outside of its data: it changes nothing that is computed.
 */

/** Milliseconds since 1970, so that threads agree. `depth` counts the spans around it in its thread. */
export interface Span {
  readonly name: string;
  /** The thread: "main", "weights 1". */
  track: string;
  readonly depth: number;
  readonly start: number;
  end: number;
  /** Bytes that went in, where that says something. */
  readonly bytes?: number;
  /** What it was about: a tensor's name. */
  readonly detail?: string;
}

let spans: Span[] | null = null;
let depth = 0;

const now = () => performance.timeOrigin + performance.now();

/** Starts keeping spans in this thread. */
export function keepTimings(): void {
  spans ??= [];
}

/** Whether spans are kept: for those who hand work to other threads. */
export function timingsKept(): boolean {
  return spans !== null;
}

/** Does the work and keeps its span; of a promise, until it settles. Spans of one thread must nest. */
export function timed<T>(name: string, work: () => T, bytes?: number, detail?: string): T {
  if (!spans) return work();
  const span: Span = { name, track: "main", depth, start: now(), end: 0, bytes, detail };
  spans.push(span);
  depth++;
  const end = () => {
    depth--;
    span.end = now();
  };
  let result: T;
  try {
    result = work();
  } catch (error) {
    end();
    throw error;
  }
  if (result instanceof Promise) return result.finally(end) as T;
  end();
  return result;
}

/** A span that is over already: what happened before this thread's code ran. */
export function addPast(name: string, start: number): void {
  spans?.push({ name, track: "main", depth, start, end: now() });
}

/** This thread's spans, which it forgets. */
export function takeSpans(): Span[] {
  const taken = spans ?? [];
  if (spans) spans = [];
  return taken;
}

/** Adds the spans of another thread under its name. */
export function addSpans(track: string, others: readonly Span[]): void {
  for (const span of others) spans?.push({ ...span, track });
}
