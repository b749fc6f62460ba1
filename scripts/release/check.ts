/** What is checked of an executable: by its bytes, and by starting it where that can be done here. */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import pkg from "../../package.json" with { type: "json" };
import type { Bundle } from "./bundle.ts";
import { executableFacts } from "./formats.ts";
import { type Start, startOf } from "./start.ts";
import type { ReleaseTarget } from "./targets.ts";

const ROOT = join(import.meta.dir, "../..");

/** Libraries that every system of that kind has, or that docs/platforms.md says to install. */
const EXPECTED: Readonly<Record<string, RegExp>> = {
  ELF: /^(libc|libpthread|libdl|libm|libstdc\+\+|libc\.musl-\w+|ld-linux-[\w-]+)\.so\.\d+$/,
  "Mach-O": /^\/usr\/lib\/lib(System\.B|c\+\+\.1|icucore\.A|resolv\.9)\.dylib$/,
  PE: /^(kernel32|advapi32|ws2_32|ntdll|ole32|userenv|user32|shell32|crypt32|iphlpapi|dbghelp|winmm|psapi|bcrypt|bcryptprimitives|combase|oleaut32|api-ms-win-[\w-]+)\.dll$/i,
};

/** What is wrong with an executable's bytes; nothing for a good one. */
export function problemsOf(target: ReleaseTarget, executable: string, { assets }: Bundle): string[] {
  const bytes = new Uint8Array(readFileSync(executable));
  const facts = executableFacts(bytes);
  const problems: string[] = [];
  const expect = (what: string, is: unknown, wanted: unknown) => {
    if (is !== wanted) problems.push(`${what} is ${is}, and should be ${wanted}`);
  };
  expect("format", facts.format, target.format);
  expect("machine", facts.machine, target.machine);
  expect("loader", facts.loader, target.loader);
  // Apple silicon starts nothing without one; elsewhere a broken one is worse than none.
  if (target.format === "Mach-O" && (target.machine === "arm64" || facts.signature !== "none"))
    expect("signature", facts.signature, "valid");
  for (const library of facts.libraries)
    if (!EXPECTED[target.format]!.test(library)) problems.push(`needs ${library}, which not every system has`);
  if (facts.payload === undefined) return [...problems, "has no section with the program"];
  const { offset, size } = facts.payload;
  const payload = Buffer.from(bytes.buffer, bytes.byteOffset + offset, size);
  for (const [name, content] of assets) if (!payload.includes(content)) problems.push(`${name} is not in it`);
  if (payload.includes(ROOT)) problems.push(`names this folder, ${ROOT}`);
  if (target.format !== "PE" && (statSync(executable).mode & 0o111) === 0) problems.push("may not be executed");
  return problems;
}

export interface Started {
  readonly exitCode: number;
  readonly out: string;
  readonly milliseconds: number;
}

/** Runs the executable with `words`. */
export function run({ words: before, env }: Start, words: readonly string[], cwd: string): Started {
  const begun = performance.now();
  const options = { cwd, env: { ...process.env, ...env }, stdin: "ignore", stderr: "ignore" } as const;
  const { exitCode, stdout } = Bun.spawnSync([...before, ...words], options);
  return { exitCode, out: stdout.toString().trim(), milliseconds: performance.now() - begun };
}

/** What is wrong with it when it is started; a text that says why it is not, where it cannot be. */
export function startProblems(target: ReleaseTarget, executable: string, cwd: string): string[] | string {
  const start = startOf(target, executable);
  if (typeof start === "string") return start;
  const { exitCode, out } = run(start, ["--version", "--verbose"], cwd);
  const lines = out.split(/\r?\n/);
  const problems = exitCode === 0 ? [] : [`'--version --verbose' ended with ${exitCode}`];
  if (lines[0] !== `minmaxq ${pkg.version}`) problems.push(`'--version --verbose' says ${lines[0]}`);
  if (!lines.some((line) => /^ +built for +/.test(line) && line.endsWith(` ${target.bun}`)))
    problems.push(`does not say that it was built for ${target.bun}`);
  const system = { ELF: "linux", PE: "win32", "Mach-O": "darwin" }[target.format];
  if (!lines.some((line) => line.endsWith(`, ${system} ${target.machine}`)))
    problems.push(`does not say that it runs on ${system} ${target.machine}`);
  return problems;
}
