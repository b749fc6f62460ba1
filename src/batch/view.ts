/** Progress of the whole and of each job on stderr: bars on a terminal, else one line per job and one every so often. */
import { MultiBar, Presets, type SingleBar } from "cli-progress";
import { drawnBy, isQuiet, screen, terminal } from "../terminal/output.ts";
import { isTerminal } from "../terminal/streams.ts";
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
  const multi = new MultiBar({ ...options, format: "{what} {bar} {value}/{total}" }, Presets.shades_classic);
  const whole = multi.create(total, 0, { what: "jobs" }, { format: "{what} {bar} {value}/{total} {failed}" });
  whole.update({ failed: "" });
  drawnBy(multi);
  const each = new Map<string, SingleBar>();
  let failed = 0;
  return {
    started(name) {
      if (each.size >= BARS || each.has(name)) return;
      each.set(name, multi.create(1, 0, { name: shortened(name), what: "" }, { format: "  {name} {what}" }));
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
      if (outcome.status === "failed") multi.log(`${line(name, outcome)}\n`);
    },
    tell: (text) => multi.log(`${text}\n`),
    close() {
      multi.stop();
      drawnBy(undefined);
    },
  };
}

/** The end of a path tells more than its start. */
function shortened(name: string): string {
  return name.length > 40 ? `…${name.slice(-39)}` : name;
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
  return `${name}: ${outcome.status}, ${sizesOf(outcome)}${seconds}`;
}
