/** dist/minmaxq, never older than what it is built from: for tests and the benchmark. */
import { Database } from "bun:sqlite";
import { mkdirSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

const ROOT = join(import.meta.dir, "..");
/** What build.ts reads. Folders count with all below them. */
const SOURCES = [
  ...["src", "kernels", "schema", "build.ts", "package.json", "bun.lock"],
  ...["scripts/generate-schema.ts", "scripts/parse-fbs.ts"],
].map((name) => join(ROOT, name));

let path: string | undefined;

/**
 * Gives the executable's path to `use`. It is built first when a source is newer, at most once per process, so that all of a run see the same.
 * Processes of one clone take turns: none reads what another is building.
 * Throws when the build fails.
 */
export function withFreshExecutable<T>(use: (path: string) => T): T {
  return alone(join(ROOT, "build/executable.lock"), () => {
    if (path === undefined) {
      path = join(ROOT, "dist/minmaxq");
      if (isStale(path, SOURCES)) build();
    }
    return use(path);
  });
}

function build(): void {
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, "run", "build.ts"], { cwd: ROOT });
  if (exitCode !== 0) throw new Error(`build.ts failed:\n${stdout}${stderr}`);
}

/** Whether `path` is missing or older than a file or folder of `sources`; a folder's own time tells of files that were removed. */
export function isStale(path: string, sources: readonly string[]): boolean {
  const built = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  return built === undefined || sources.some((source) => newest(source) > built);
}

/** The latest change at and below `path`. What the build makes does not count. */
function newest(path: string): number {
  const status = statSync(path);
  if (!status.isDirectory()) return path.endsWith(".gen.ts") ? 0 : status.mtimeMs;
  return Math.max(status.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

/** Runs `work` while no other process does the same with this lock. SQLite locks the file by the system's means: a process that dies leaves no lock. */
export function alone<T>(lock: string, work: () => T): T {
  mkdirSync(dirname(lock), { recursive: true });
  const database = new Database(lock, { create: true });
  try {
    database.run("PRAGMA busy_timeout = 120000");
    database.run("BEGIN EXCLUSIVE");
    return work();
  } finally {
    database.close();
  }
}
