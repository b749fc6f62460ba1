/**
 * Whole processes: how long, how much memory, and two of them in turns.
 *
 * Inputs are to come from the page cache, but a busy or thrifty system takes cold pages out of it. So the input is read
 * right before each pair, and the system is asked afterwards whether a command had to read from the disk nevertheless;
 * such a pair is measured again. What a command wrote is removed and what is left of it sent to the disk before the next
 * pair, so that no run waits for the bytes of another.
 */
import { closeSync, existsSync, openSync, readFileSync, readSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Sides } from "./statistics.ts";

const TIME = "/usr/bin/time";
/** The share of an input that may come from the disk. */
const COLD = 0.01;
/** Bytes that file systems read of folders when files are made in them: no model is so small that it would matter. */
const FOLDERS = 64 << 10;
/** What the system counts reading in. */
const SECTOR = 512;

export interface Ended {
  readonly seconds: number;
  readonly stderr: string;
  /** Bytes that came from the disk; 0 where that is not known. */
  readonly fromDisk: number;
}

/** The environment without settings of ours that may be there. */
function environment(more: Record<string, string> = {}): Record<string, string | undefined> {
  return { ...process.env, MINMAXQ_THREADS: undefined, MINMAXQ_DEBUG: undefined, ...more };
}

/** Lets signals through: nothing is heard while a command runs. */
const pause = () => new Promise((resume) => setImmediate(resume));

/** Runs a command to its end. Throws when it fails. */
export async function run(command: readonly string[], env?: Record<string, string>): Promise<Ended> {
  const start = performance.now();
  const { exitCode, stderr, resourceUsage } = Bun.spawnSync([...command], {
    env: environment(env),
    stdout: "ignore",
    stderr: "pipe",
  });
  const seconds = (performance.now() - start) / 1000;
  await pause();
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: exit code ${exitCode}\n${stderr}`);
  const sectors = process.platform === "linux" ? Number(resourceUsage.ops.in) : 0;
  return { seconds, stderr: stderr.toString(), fromDisk: sectors * SECTOR };
}

const buffer = new Uint8Array(4 << 20);

/** Reads a file, so that it lies in the page cache. */
export function warm(path: string): void {
  const fd = openSync(path, "r");
  try {
    while (readSync(fd, buffer) > 0);
  } finally {
    closeSync(fd);
  }
}

async function settle(): Promise<void> {
  if (process.platform !== "win32") await run(["sync"]);
}

/** One of two commands. */
export interface Turn {
  /** What it writes, where that is not the turns' common output. */
  readonly output?: string;
  readonly name: string;
  readonly command: readonly string[];
  readonly env?: Record<string, string>;
}

export interface Turns {
  readonly rounds: number;
  readonly input: string;
  /** What both write; fresh each time. */
  readonly output: string;
  readonly progress: (done: number, total: number) => void;
}

export interface Pair {
  readonly top: Ended;
  readonly bottom: Ended;
}

/** Runs two commands in turns, the bottom of the ratio first, after one round to warm up. */
export async function takeTurns(top: Turn, bottom: Turn, { rounds, input, output, progress }: Turns): Promise<Pair[]> {
  const pairs: Pair[] = [];
  const most = Math.max(FOLDERS, Math.round(COLD * statSync(input).size));
  await settle();
  let again = 0;
  for (let round = 0; round <= rounds; round++) {
    progress(round, rounds + 1);
    const ended = new Map<Turn, Ended>();
    warm(input);
    for (const turn of [bottom, top]) {
      ended.set(turn, await run(turn.command, turn.env));
      rmSync(turn.output ?? output);
    }
    await settle();
    const pair = { top: ended.get(top)!, bottom: ended.get(bottom)! };
    if (round > 0 && Math.max(pair.top.fromDisk, pair.bottom.fromDisk) > most) {
      if (++again > rounds) throw new Error(`${input} does not stay in the page cache: too little memory is free`);
      round--;
    } else if (round > 0) pairs.push(pair);
  }
  progress(rounds + 1, rounds + 1);
  return pairs;
}

type Named = Pick<Turn, "name">;

/** Both sides of the pairs: the time of the whole process, or what `of` finds in what it told. */
export function sidesOf(
  top: Named,
  bottom: Named,
  pairs: readonly Pair[],
  of = ({ seconds }: Ended) => seconds,
): Sides {
  return {
    names: [top.name, bottom.name],
    unit: "s",
    top: pairs.map((pair) => of(pair.top)),
    bottom: pairs.map((pair) => of(pair.bottom)),
  };
}

/** The seconds of a phase in what `--timings` prints. */
export function phaseSeconds(timings: string, phase: string): number {
  const seconds = timings.match(new RegExp(`^${phase} +(\\d+\\.\\d+) `, "m"))?.[1];
  if (seconds === undefined) throw new Error(`--timings tells nothing of the phase "${phase}":\n${timings}`);
  return Number(seconds);
}

/** Milliseconds of a command, again and again; the first ones warm up. */
export async function repeat(
  command: readonly string[],
  { rounds, output, progress }: { rounds: number; output?: string; progress: Turns["progress"] },
): Promise<number[]> {
  const samples: number[] = [];
  for (let round = -3; round < rounds; round++) {
    progress(Math.max(round, 0), rounds);
    const { seconds } = await run(command);
    if (output !== undefined) rmSync(output);
    if (round >= 0) samples.push(seconds * 1000);
  }
  progress(rounds, rounds);
  return samples;
}

/**
 * Peak resident memory of a command, in bytes. By GNU time where it is installed: Linux counts the memory of the process that
 * starts a process as the process's own peak, and Bun has more than time has.
 */
export async function peakMemory(command: readonly string[], folder: string): Promise<number> {
  if (process.platform === "linux" && existsSync(TIME)) {
    const file = join(folder, "peak");
    await run([TIME, "-f", "%M", "-o", file, ...command]);
    return Number(readFileSync(file, "utf8")) * 1024;
  }
  const { exitCode, stderr, resourceUsage } = Bun.spawnSync([...command], {
    env: environment(),
    stdout: "ignore",
    stderr: "pipe",
  });
  await pause();
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: exit code ${exitCode}\n${stderr}`);
  return resourceUsage.maxRSS;
}
