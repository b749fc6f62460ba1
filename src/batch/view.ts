/** Progress of the whole and of each job on stderr: bars on a terminal, else one line per job and one every so often. */
import { MultiBar, Presets, type SingleBar } from "cli-progress";
import { drawnBy, isQuiet, screen, terminal } from "../terminal/output.ts";
import { isTerminal, textWidthOf } from "../terminal/streams.ts";
import { shortened, withShortNames } from "../terminal/table.ts";
import { sqnrText } from "./accuracy.ts";
import { paragraph } from "./columns.ts";
import { type Outcome, oneLine, sizesOf } from "./outcome.ts";

export interface View {
  started(name: string): void;
  progress(name: string, what: string, done: number, total: number): void;
  ended(name: string, outcome: Outcome): void;
  /** A line about the whole. */
  tell(line: string): void;
  close(): void;
}

/** Seconds between two lines about running jobs where there is no terminal. */
const LINE_EVERY = 10;
/** Clears what is right of the cursor. */
const CLEAR = "\x1b[K";
/** Bars of jobs at once; a queue may have hundreds under way. */
const BARS = 8;

export function openView(total: number): View {
  return isTerminal(2) && !isQuiet() ? bars(total) : lines(total);
}

function bars(total: number): View {
  const options = {
    stream: screen(),
    clearOnComplete: true,
    hideCursor: true,
    autopadding: true,
    forceRedraw: true,
  };
  // Bars switch wrapping off, so what is longer than a line would be cut away.
  const columns = textWidthOf(2);
  const barsize = Math.max(10, Math.min(40, columns - 40));
  const multi = new MultiBar({ ...options, barsize, format: "{what} {bar} {value}/{total}" }, Presets.shades_classic);
  // Bars clear the first line alone; what they have drawn below has to go, too.
  const log = (text: string) =>
    multi.log(`${paragraph(withShortNames(text, columns), columns - 3).join(`${CLEAR}\n  `)}${CLEAR}\n`);
  // "recording 1000/1000", and three spaces.
  const names = Math.max(12, Math.min(60, columns - 24));
  const whole = multi.create(total, 0, { what: "jobs" }, { format: "{what} {bar} {value}/{total} {failed}" });
  whole.update({ failed: "" });
  drawnBy(multi);
  const each = new Map<string, SingleBar>();
  let failed = 0;
  return {
    started(name) {
      if (each.size >= BARS || each.has(name)) return;
      each.set(name, multi.create(1, 0, { name: shortened(name, names), what: "" }, { format: "  {name} {what}" }));
    },
    progress(name, what, done, of) {
      each.get(name)?.update({ what: of > 1 ? `${what} ${done}/${of}` : what });
    },
    ended(name, outcome) {
      const bar = each.get(name);
      if (bar) multi.remove(bar);
      each.delete(name);
      if (outcome.status === "failed") failed++;
      whole.increment({ failed: failed > 0 ? `(${failed} failed)` : "" });
      if (outcome.status === "failed") log(line(name, outcome));
    },
    tell: log,
    close() {
      multi.stop();
      drawnBy(undefined);
    },
  };
}

function lines(total: number): View {
  const running = new Map<string, string>();
  let ended = 0;
  const timer = setInterval(() => {
    if (running.size === 0) return;
    const each = [...running].slice(0, BARS).map(([name, what]) => (what ? `${name} (${what})` : name));
    terminal.tell(`[${ended}/${total}] under way: ${each.join(", ")}${running.size > BARS ? ", …" : ""}`);
  }, LINE_EVERY * 1000);
  return {
    started: (name) => void running.set(name, ""),
    progress: (name, what, done, of) => void running.set(name, of > 1 ? `${what} ${done}/${of}` : what),
    ended(name, outcome) {
      running.delete(name);
      ended++;
      terminal.tell(`[${ended}/${total}] ${line(name, outcome)}`);
    },
    tell: (text) => terminal.tell(text),
    close: () => clearInterval(timer),
  };
}

/** `a.tflite: done, 230 KB → 186 KB, 0.6 s`. */
export function line(name: string, outcome: Outcome): string {
  if ("reason" in outcome) return `${name}: ${outcome.status}: ${oneLine(outcome.reason)}`;
  const seconds = outcome.status === "done" ? `, ${outcome.seconds.toFixed(1)} s` : "";
  const far = outcome.accuracy ? `, SQNR ${sqnrText(outcome.accuracy)}` : "";
  return `${name}: ${outcome.status}, ${sizesOf(outcome)}${seconds}${far}`;
}
