/**
 * `bun run test`: everything, from a fresh clone, with nothing but Bun.
 *
 *     install → build → tsc → biome → biome for kernels/ → Redis server → bun test → "N passed, N failed"
 *
 * Arguments go to `bun test`: `bun run test test/goldens -t "u8-channel"`. Packages may not be there when this starts, so
 * only Node's own modules are imported. A step that fails counts as one failure; exit code 1 when anything fails.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "..");
const REPORT = "build/junit.xml";
/** Milliseconds for one test that does not say otherwise. */
const TIMEOUT = 60_000;

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** Runs Bun with `args`; under npx there is no `bun` on the PATH, so it is this very executable. */
function bun(title: string, args: readonly string[]): boolean {
  console.log(`\n── ${title}`);
  const { status, signal, error } = spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" });
  if (status === 0) return true;
  console.log(`── ${title}: failed (${error?.message ?? signal ?? `exit code ${status}`})`);
  return false;
}

/** Counts of Bun's JUnit report; null when there is none or it does not tell. */
function readReport(): Counts | null {
  let text: string;
  try {
    text = readFileSync(join(root, REPORT), "utf8");
  } catch {
    return null;
  }
  const total = text.match(/<testsuites\b[^>]*>/)?.[0] ?? "";
  const number = (name: string) => Number(total.match(new RegExp(`\\b${name}="(\\d+)"`))?.[1] ?? Number.NaN);
  const [tests, failed, skipped] = [number("tests"), number("failures"), number("skipped")];
  const counts = { passed: tests - failed - skipped, failed, skipped };
  return Number.isNaN(counts.passed) ? null : counts;
}

function runTests(args: readonly string[]): Counts {
  mkdirSync(join(root, "build"), { recursive: true });
  rmSync(join(root, REPORT), { force: true });
  const options = [`--timeout=${TIMEOUT}`, "--reporter=junit", `--reporter-outfile=${REPORT}`];
  const ok = bun("tests", ["test", ...options, ...args]);
  const counts = readReport();
  if (!counts) {
    console.log("── tests: no report; Bun ended before it could write one, or found no test");
    return { passed: 0, failed: 1, skipped: 0 };
  }
  // A test file that does not load is in no count of the report; only the exit code tells.
  if (!ok && counts.failed === 0) counts.failed = 1;
  if (counts.passed + counts.failed === 0) {
    console.log("── tests: none ran");
    counts.failed = 1;
  }
  return counts;
}

/**
 * The tests of the queue start a Redis server of their own. Where it is missing it is installed, without being started; where
 * that cannot be, those tests are skipped by name.
 */
function provideRedis(): void {
  const there = () => Bun.which("redis-server") !== null;
  if (!there() && process.getuid?.() === 0 && Bun.which("apt-get")) {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1", SYSTEMD_OFFLINE: "1" };
    const apt = (...args: string[]) =>
      spawnSync("apt-get", ["-qq", ...args], { env, stdio: "ignore", timeout: 180_000 });
    apt("update");
    apt("install", "-y", "--no-install-recommends", "redis-server");
  }
  if (!there())
    console.log(
      "\n── redis: there is no redis-server, and it cannot be installed here; the tests of the queue are skipped",
    );
}

function main(): Counts {
  const broken: Counts = { passed: 0, failed: 1, skipped: 0 };
  if (!bun("install", ["install", "--frozen-lockfile"])) return broken;
  if (!bun("build", ["run", "build.ts"])) return broken;
  // --bun: these are scripts for Node, which may not be installed.
  const types = bun("types", ["run", "--bun", "tsc", "--noEmit"]);
  const style = bun("style", ["run", "--bun", "biome", "check", "."]);
  const kernels = bun("kernels", ["run", "scripts/lint-kernels.ts"]);
  provideRedis();
  const counts = runTests(process.argv.slice(2));
  return { ...counts, failed: counts.failed + [types, style, kernels].filter((good) => !good).length };
}

const { passed, failed, skipped } = main();
console.log(skipped > 0 ? `\n${skipped} skipped` : "");
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
