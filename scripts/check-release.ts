/**
 * Builds all releases, twice and in two folders, and holds each to what it should be: `bun run scripts/check-release.ts [--executables] [--once] [--only NAME,NAME]`.
 *
 * - format, machine, loader, libraries, signature, embedded files; none of this machine's paths
 * - what can be started here is (release/fetch-loaders.sh gets what that takes): its version, and a quantization with samples, whose bits are to be those of
 *   this machine's executable
 * - archives hold what they should, SHA256SUMS are theirs, both folders have the same bytes
 *
 * Takes some ten minutes, with `--executables` (no archives) three. Exit code 1 when anything is wrong.
 */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { generate } from "../build.ts";
import { type Bundle, readBundle } from "./release/bundle.ts";
import { problemsOf, run, startProblems } from "./release/check.ts";
import { executableFacts } from "./release/formats.ts";
import { startOf } from "./release/start.ts";
import { type ReleaseTarget, TARGETS, targetsNamed } from "./release/targets.ts";
import { nameOf, release } from "./release.ts";

const ROOT = join(import.meta.dir, "..");
const MODEL = join(ROOT, "node_modules/@mediapipe/face_detection/face_detection_short_range.tflite");
const MB = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

const options = { once: { type: "boolean" }, executables: { type: "boolean" }, only: { type: "string" } } as const;
const { values } = parseArgs({ options });
const targets = targetsNamed(values.only?.split(",") ?? []);
let wrong = 0;

function tell(name: string, problems: readonly string[], good: string): void {
  wrong += problems.length;
  console.log(`${name.padEnd(20)} ${problems.length === 0 ? good : problems.join("; ")}`);
}

process.chdir(ROOT);
await generate();
const out = join(ROOT, "dist/release");
await release(targets, out, values.executables !== true);
const bundle = await readBundle();
const work = mkdtempSync(join(tmpdir(), "minmaxq-release-"));
try {
  cpSync(MODEL, join(work, "face.tflite"));
  console.log("\n── executables");
  for (const target of targets) checkExecutable(target, bundle);
  console.log("\n── archives");
  checkSums();
  if (!values.once) buildAgain();
} finally {
  rmSync(work, { recursive: true, force: true });
}
console.log(wrong === 0 ? "\nall good" : `\n${wrong} wrong`);
process.exit(wrong === 0 ? 0 : 1);

function pathOf(target: ReleaseTarget): string {
  return join(out, nameOf(target));
}

function checkExecutable(target: ReleaseTarget, { assets, code }: Bundle): void {
  const path = pathOf(target);
  const { size } = statSync(path);
  const { payload, system } = executableFacts(new Uint8Array(readFileSync(path)));
  const files = [...assets.values()].reduce((sum, each) => sum + each.length, 0);
  const parts = `Bun ${MB(size - payload!.size)}, files ${MB(files)}, scripts ${MB(code)}, their bytecode ${MB(payload!.size - files - code)}`;
  tell(target.name, problemsOf(target, path, bundle), `${MB(size)}: ${parts}${system ? `; ${system}` : ""}`);
  const problems = startProblems(target, path, work);
  if (typeof problems === "string") return console.log(`${"".padEnd(20)} not started: ${problems}`);
  tell(
    "",
    [...problems, ...(problems.length === 0 ? bitsProblems(target) : [])],
    `starts, and quantizes to the same bits${times(target)}`,
  );
}

/** A quantization with samples gives what this machine's own executable gives. */
function bitsProblems(target: ReleaseTarget): string[] {
  const quantized = (each: ReleaseTarget) => {
    const start = startOf(each, pathOf(each));
    if (typeof start === "string") throw new Error(start);
    const words = ["quantize", "face.tflite", "--data", "random:2", "-o", `${each.name}.tflite`, "--force"];
    const { exitCode } = run(start, words, work);
    return exitCode === 0 ? readFileSync(join(work, `${each.name}.tflite`)) : undefined;
  };
  const own = TARGETS.find(({ starter }) => starter === "itself")!;
  if (!targets.includes(own)) return [];
  const [expected, is] = [quantized(own), quantized(target)];
  if (is === undefined) return ["does not quantize"];
  return expected !== undefined && Buffer.compare(expected, is) === 0 ? [] : ["quantizes to other bits"];
}

/** Of this machine's own: how long a start takes, the middle of 21. */
function times(target: ReleaseTarget): string {
  if (target.starter !== "itself" && target.starter !== "musl") return "";
  const start = startOf(target, pathOf(target));
  if (typeof start === "string") return "";
  const all = Array.from({ length: 21 }, () => run(start, ["--version"], work).milliseconds).sort((a, b) => a - b);
  return `; ${all[10]!.toFixed(0)} ms a start`;
}

function checkSums(): void {
  const lines = readFileSync(join(out, "SHA256SUMS"), "utf8").trim().split("\n");
  const wrongSums = lines.filter((line) => {
    const [sum, name] = line.split("  ") as [string, string];
    return new Bun.CryptoHasher("sha256").update(readFileSync(join(out, name))).digest("hex") !== sum;
  });
  tell("SHA256SUMS", wrongSums, `${lines.length} files`);
  const inside = ["LICENSE", "THIRD-PARTY-NOTICES.txt", "README.md", "man/minmaxq.1", "completions/_minmaxq"];
  for (const target of targets)
    for (const name of readdirSync(out).filter((each) =>
      target.archives.some((kind) => each.endsWith(`${target.name}.${kind}`)),
    )) {
      const list = name.endsWith(".zip") ? ["unzip", "-Z1"] : ["tar", "tf"];
      const { stdout } = Bun.spawnSync([...list, join(out, name)]);
      const names = stdout
        .toString()
        .split("\n")
        .map((each) => each.slice(each.indexOf("/") + 1));
      const missing = [target.executable, ...inside].filter((each) => !names.includes(each));
      tell(
        target.name,
        missing.map((each) => `${name} lacks ${each}`),
        `${name}: ${MB(statSync(join(out, name)).size)}`,
      );
    }
}

/** The same commit in another folder, with the same packages. */
function buildAgain(): void {
  console.log("\n── the same again, in another folder");
  const clone = join(work, "another", "folder");
  mkdirSync(join(work, "another"));
  Bun.spawnSync(["git", "clone", "-q", ROOT, clone]);
  const copied = Bun.spawnSync(["cp", "-al", join(ROOT, "node_modules"), clone]).exitCode === 0;
  if (!copied) cpSync(join(ROOT, "node_modules"), join(clone, "node_modules"), { recursive: true });
  const only = values.only === undefined ? [] : ["--only", values.only];
  const words = ["run", "scripts/release.ts", ...only, ...(values.executables ? ["--executables"] : [])];
  const { exitCode, stderr } = Bun.spawnSync([process.execPath, ...words], { cwd: clone, stdout: "ignore" });
  if (exitCode !== 0) return tell("", [`fails: ${stderr}`], "");
  const sums = (folder: string) => readFileSync(join(folder, "SHA256SUMS"), "utf8").trim().split("\n");
  const others = sums(join(clone, "dist/release"));
  const differing = sums(out).filter((line) => !others.includes(line));
  tell(
    "",
    differing.map((line) => `${line.split("  ")[1]} differs`),
    `${others.length} files with the same bytes`,
  );
}
