/** Runs of the executable on hostile input: how they end, how long they take and how much memory they have. */
import { readFileSync } from "node:fs";
import { environment, executable } from "../cli/support.ts";

export interface Harmed {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly err: string;
  readonly seconds: number;
  /** Most bytes that were resident. */
  readonly peak: number;
}

/** Seconds after which a run counts as hanging: many times what an honest run of these sizes takes on a loaded machine. */
export const PATIENCE = 60;

export async function run(args: readonly string[], cwd: string, env: Record<string, string> = {}): Promise<Harmed> {
  const started = performance.now();
  const child = Bun.spawn([executable(), ...args], {
    cwd,
    env: environment({ MINMAXQ_THREADS: "1", ...env }),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE * 1000);
  let peak = 0;
  const watch = setInterval(() => {
    try {
      const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1];
      peak = Math.max(peak, Number(kilobytes ?? 0) * 1024);
    } catch {
      // It has ended.
    }
  }, 5);
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  await child.exited;
  clearInterval(watch);
  clearTimeout(timer);
  const seconds = (performance.now() - started) / 1000;
  return { code: child.exitCode, signal: child.signalCode as string | null, out, err, seconds, peak };
}

/** What is wrong with how a run ended: undefined where it was done or refused in words of ours. `codes`: those it may have. */
export function harm({ code, signal, err }: Harmed, codes: readonly number[] = [0, 1]): string | undefined {
  if (signal !== null) return `was killed by ${signal}, or hung for ${PATIENCE} s`;
  if (/internal error|^ {4}at /m.test(err)) return `a defect of ours: ${err.trim()}`;
  if (code === null || !codes.includes(code)) return `exit code ${code}: ${err.trim()}`;
  if (code === 1 && !/^minmaxq: \S/m.test(err)) return `exit code 1 without a word: ${err}`;
  return undefined;
}
