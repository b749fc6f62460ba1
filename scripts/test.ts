/**
 * `bun run test`: everything, from a fresh clone, with nothing but Bun.
 *
 *     install → build → tsc → biome → biome for kernels/ → bun test → "N passed, N failed"
 *
 * Arguments go to `bun test`: `bun run test test/goldens -t "u8-channel"`. Packages may not be there when this starts, so
 * only Node's own modules are imported. Nothing is installed on the machine (`.ci/run` does that), so no rights are needed: tests that
 * lack a program are skipped, and it is said how to get it. A step that fails counts as one failure; exit code 1 when anything fails.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
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

/** What some tests use and this does not install: where it is missing they are skipped. */
const WANTED = [
  {
    there: Bun.which("redis-server"),
    what: "redis-server",
    tests: "the tests of the queue",
    get: "Debian: apt-get install redis-server",
  },
  {
    there: Bun.which("openssl"),
    what: "openssl",
    tests: "the test of TLS to Redis",
    get: "Debian: apt-get install openssl",
  },
  {
    there: Bun.which("qemu-aarch64") && existsSync(join(root, "build/loaders/musl-x64")),
    what: "loaders of other platforms",
    tests: "starts of executables for ARM and musl",
    get: "Debian, as root: scripts/release/fetch-loaders.sh",
  },
  {
    there: Bun.which("npm"),
    what: "npm",
    tests: "the installation of the npm packages by npm",
    get: "Node.js",
  },
  {
    there: existsSync(join(root, "../shared/goldens")),
    what: "../shared",
    tests: "comparisons with all of ONE's kept outputs",
    get: "the folder of reference outputs beside this clone",
  },
];

function tellWhatIsMissing(): void {
  for (const { there, what, tests, get } of WANTED) {
    if (!there) console.log(`── skipped for want of ${what}: ${tests} (${get})`);
  }
}

function main(): Counts {
  const broken: Counts = { passed: 0, failed: 1, skipped: 0 };
  if (!bun("install", ["install", "--frozen-lockfile"])) return broken;
  if (!bun("build", ["run", "build.ts"])) return broken;
  // --bun: these are scripts for Node, which may not be installed.
  const types = bun("types", ["run", "--bun", "tsc", "--noEmit"]);
  const style = bun("style", ["run", "--bun", "biome", "check", "."]);
  const kernels = bun("kernels", ["run", "scripts/lint-kernels.ts"]);
  const counts = runTests(process.argv.slice(2));
  return { ...counts, failed: counts.failed + [types, style, kernels].filter((good) => !good).length };
}

const { passed, failed, skipped } = main();
console.log("");
tellWhatIsMissing();
if (skipped > 0) console.log(`${skipped} skipped`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
