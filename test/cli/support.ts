/** Runs the compiled executable as a person would: alone in a folder of its own, from another folder. */
import { afterAll, expect, setDefaultTimeout } from "bun:test";
import { chmodSync, copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withFreshExecutable } from "../../scripts/fresh.ts";

const root = join(import.meta.dir, "../..");

/** Folders made since the last clean-up. */
const made: string[] = [];

let copied: string | undefined;

/** Path of a copy of the executable with nothing beside it; built first when a source is newer. MINMAXQ names another one to test. */
export function executable(name = "minmaxq"): string {
  if (copied && name === "minmaxq") return copied;
  const path = join(folder(), name);
  const copy = (built: string) => copyFileSync(built, path);
  if (process.env.MINMAXQ) copy(process.env.MINMAXQ);
  else withFreshExecutable(copy);
  chmodSync(path, 0o755);
  if (name === "minmaxq") copied = path;
  return path;
}

/** A fresh empty folder. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "minmaxq-cli-"));
  made.push(path);
  return path;
}

/** Removes everything that a test file made, when its tests are done, and gives tests time to build. Every file calls it once. */
export function cleanUpAfterwards(): void {
  // Bun keeps it per file, and runs this module's body for the first file only.
  setDefaultTimeout(60_000);
  afterAll(() => {
    for (const path of made.splice(0)) rmSync(path, { recursive: true, force: true });
    copied = undefined;
  });
}

export interface Ended {
  code: number;
  out: string;
  err: string;
  milliseconds: number;
}

export interface Where {
  cwd: string;
  env?: Record<string, string>;
  /** The executable; a shell line sees it as $M. */
  program?: string;
}

/** The environment of every run: as little as there can be. */
export function environment(more: Record<string, string> = {}): Record<string, string> {
  return { PATH: "/usr/bin:/bin", HOME: tmpdir(), ...more };
}

export async function minmaxq(args: readonly string[], where: Where): Promise<Ended> {
  return ended([where.program ?? executable(), ...args], where);
}

/** A line of sh in which $M is the executable. */
export async function shell(line: string, where: Where): Promise<Ended> {
  return ended(["/bin/sh", "-c", line], { ...where, env: { ...where.env, M: where.program ?? executable() } });
}

async function ended(command: string[], { cwd, env }: Where): Promise<Ended> {
  const started = performance.now();
  const child = Bun.spawn(command, { cwd, env: environment(env), stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), child.exited]);
  return { code, out, err, milliseconds: performance.now() - started };
}

function text(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  return new Response(stream).text();
}

/**
 * The high-water mark of a process's resident memory, in bytes, looked at until it ends: what `resourceUsage` of a child says begins
 * with the memory of its parent, and that is a test run.
 */
export async function peakMemory(child: Bun.Subprocess): Promise<number> {
  let peak = 0;
  while (child.exitCode === null && child.signalCode === null) {
    try {
      const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1];
      peak = Math.max(peak, Number(kilobytes ?? 0) * 1024);
    } catch {
      // It has ended.
    }
    await Bun.sleep(3);
  }
  return peak;
}

/** All files below a folder. */
export function files(path: string): string[] {
  const entries = readdirSync(path, { withFileTypes: true });
  return entries
    .flatMap((entry) =>
      entry.isDirectory() ? files(join(path, entry.name)).map((name) => join(entry.name, name)) : [entry.name],
    )
    .sort();
}

/** Lines of stderr without those of progress. */
export function complaint({ err }: Ended): string[] {
  const progress =
    /^(recording|finding ranges|writing weights|running in LiteRT|comparing) (\d.* of \d|\d+\/\d|\d+ s so far)/;
  return err.split("\n").filter((line) => line !== "" && !progress.test(line));
}

/**
 * Runs and expects a refusal: the exit code, nothing on stdout, one line on stderr (or a header and a list) that says all
 * of `says`, no stack, and not a file more or less than before.
 */
export async function refused(
  args: readonly string[],
  where: Where,
  code: number,
  ...says: (string | RegExp)[]
): Promise<Ended> {
  const before = files(where.cwd);
  const result = await minmaxq(args, where);
  expectRefusal(result, code, ...says);
  expect(files(where.cwd)).toEqual(before);
  return result;
}

export function expectRefusal(result: Ended, code: number, ...says: (string | RegExp)[]): void {
  const lines = complaint(result);
  expect({ code: result.code, out: result.out, lines }).toEqual({ code, out: "", lines });
  expect(lines[0]).toStartWith("minmaxq: ");
  expect(result.err).not.toMatch(/^ {4}at |internal error/m);
  if (lines.length > 1) {
    expect(lines[0]).toEndWith(":");
    expect(lines.slice(1).filter((line) => !line.startsWith("  "))).toEqual([]);
  }
  for (const each of says) expect(result.err).toMatch(each);
}

/** Runs and expects success. */
export async function succeeded(args: readonly string[], where: Where): Promise<Ended> {
  const result = await minmaxq(args, where);
  expect({ code: result.code, err: complaint(result) }).toEqual({ code: 0, err: [] });
  return result;
}

/** A real model that comes with the development packages. */
export const REAL = join(root, "node_modules/@mediapipe/face_detection/face_detection_short_range.tflite");
