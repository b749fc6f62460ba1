/** What the tests of batches share. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { convolution, RECORDED, write } from "../cli/models.ts";
import { environment, executable, folder } from "../cli/support.ts";

/** A folder with two small models with recorded ranges, one of them in a folder below. */
export async function models(): Promise<string> {
  const cwd = folder();
  mkdirSync(join(cwd, "models/deep"), { recursive: true });
  await write(convolution(RECORDED), join(cwd, "models/a.circle"));
  await write(convolution(RECORDED), join(cwd, "models/deep/b.tflite"));
  return cwd;
}

/** Writes a job list; gives its name. */
export function list(cwd: string, content: unknown, name = "jobs.json"): string {
  writeFileSync(join(cwd, name), JSON.stringify(content));
  return name;
}

export interface Line {
  model: string;
  output: string;
  status: string;
  reason?: string;
  summary?: string[];
  worker?: string;
  accuracy?: object;
}

/** Whole lines of results.jsonl. */
export function results(path: string): Line[] {
  const lines = readFileSync(join(path, "results.jsonl"), "utf8").split("\n");
  return lines.flatMap((line) => {
    try {
      return [JSON.parse(line) as Line];
    } catch {
      return [];
    }
  });
}

/** `[model, status]` of all lines, sorted. */
export function statuses(path: string): [string, string][] {
  return results(path)
    .map(({ model, status }): [string, string] => [model, status])
    .sort();
}

export interface Running {
  readonly child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  /** Both streams so far. */
  said(): string;
  /** Waits until it has said something that matches. */
  says(pattern: RegExp): Promise<void>;
  /** All it said, once it has ended. */
  end(): Promise<{ code: number; said: string }>;
}

/** Starts the executable and keeps what it says. */
export function start(args: readonly string[], cwd: string, env: Record<string, string> = {}): Running {
  const child = Bun.spawn([executable(), ...args], {
    cwd,
    env: environment(env),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let text = "";
  const collect = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder();
    for await (const piece of stream) text += decoder.decode(piece, { stream: true });
  };
  const read = Promise.all([collect(child.stdout), collect(child.stderr)]);
  return {
    child,
    said: () => text,
    async says(pattern) {
      await until(() => pattern.test(text) || child.exitCode !== null || child.signalCode !== null);
      if (!pattern.test(text)) throw new Error(`ended without saying ${pattern}: ${text}`);
    },
    async end() {
      const code = await child.exited;
      await read;
      return { code, said: text };
    },
  };
}

/** Waits for something; the test's own time limit ends it. */
export async function until(what: () => boolean): Promise<void> {
  while (!what()) await Bun.sleep(10);
}

/** Ids of the processes that work for jobs of this test file's executable. */
export function jobProcesses(): number[] {
  const commandOf = (pid: string) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8");
    } catch {
      return "";
    }
  };
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => commandOf(pid) === `${executable()}\0__job\0`).map(Number);
}
