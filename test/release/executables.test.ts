/** Executables for other platforms: built twice in different folders, checked, and started where that can be done here. All of them: scripts/check-release.ts. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { compileExecutable } from "../../build.ts";
import { withFreshExecutable } from "../../scripts/fresh.ts";
import { type Bundle, readBundle } from "../../scripts/release/bundle.ts";
import { problemsOf, run, startProblems } from "../../scripts/release/check.ts";
import { startOf } from "../../scripts/release/start.ts";
import { type ReleaseTarget, TARGETS, targetsNamed } from "../../scripts/release/targets.ts";

// On a machine that does much else.
setDefaultTimeout(300_000);

const ROOT = join(import.meta.dir, "../..");
const work = mkdtempSync(join(tmpdir(), "minmaxq-executables-"));
const [arm] = targetsNamed(["linux-arm64"]) as [ReleaseTarget];
const [musl] = targetsNamed(["linux-x64-musl"]) as [ReleaseTarget];
const pathOf = (name: string) => join(work, name, "minmaxq");
let bundle: Bundle;

beforeAll(async () => {
  withFreshExecutable(() => {});
  process.chdir(ROOT);
  bundle = await readBundle();
  for (const { name, bun } of [arm, musl]) await compileExecutable(pathOf(name), bun);
});
afterAll(() => rmSync(work, { recursive: true, force: true }));

test("format, machine, loader, libraries and embedded files are right", () => {
  for (const target of [arm, musl]) expect(problemsOf(target, pathOf(target.name), bundle)).toEqual([]);
});

test("what is wrong with an executable is told", async () => {
  const other = { ...arm, machine: "x64", loader: "/lib/other.so" } as const;
  expect(problemsOf(other, pathOf(arm.name), bundle)).toEqual([
    "machine is arm64, and should be x64",
    "loader is /lib/ld-linux-aarch64.so.1, and should be /lib/other.so",
  ]);
  expect(problemsOf(arm, "/bin/true", bundle)).toContain("has no section with the program");
  const more = { ...bundle, assets: new Map([["new.wasm", crypto.getRandomValues(new Uint8Array(64))]]) };
  expect(problemsOf(arm, pathOf(arm.name), more)).toEqual(["new.wasm is not in it"]);
});

for (const target of [arm, musl])
  test(`${target.name} starts, and says what it was made of`, () => {
    const problems = startProblems(target, pathOf(target.name), work);
    if (typeof problems === "string") return console.log(`── ${target.name} is not started: ${problems}`);
    expect(problems).toEqual([]);
  });

test("on ARM, quantization gives the bits that it gives here", () => {
  const start = startOf(arm, pathOf(arm.name));
  if (typeof start === "string") return console.log(`── not started: ${start}`);
  cpSync(
    join(ROOT, "node_modules/@mediapipe/face_detection/face_detection_short_range.tflite"),
    join(work, "face.tflite"),
  );
  const words = (output: string) => ["quantize", "face.tflite", "--scheme", "dynamic-int8", "--no-run", "-o", output];
  expect(run(start, words("arm.tflite"), work).exitCode).toBe(0);
  const here = withFreshExecutable((path) => run({ words: [path] }, words("here.tflite"), work));
  expect(here.exitCode).toBe(0);
  expect(readFileSync(join(work, "arm.tflite")).equals(readFileSync(join(work, "here.tflite")))).toBe(true);
});

test("a CPU without AVX is told in one line; with AVX alone it works", () => {
  const qemu = Bun.which("qemu-x86_64");
  if (qemu === null) return console.log("── qemu-x86_64 is not here: no older CPU is tried");
  withFreshExecutable((path) => {
    const quantized = (cpu: string) =>
      Bun.spawnSync(
        [
          qemu,
          "-cpu",
          cpu,
          path,
          "quantize",
          "face.tflite",
          "--scheme",
          "dynamic-int8",
          "--no-run",
          "-o",
          `${cpu}.tflite`,
        ],
        {
          cwd: work,
        },
      );
    const old = quantized("Nehalem");
    expect(old.exitCode).toBe(1);
    expect(old.stderr.toString()).toMatch(/^minmaxq: (face\.tflite: )?this CPU has no AVX.*\n$/);
    expect(readdirSync(work)).not.toContain("Nehalem.tflite");
    expect(quantized("SandyBridge").exitCode).toBe(0);
  });
});

test("the container's files are enough for musl's executable, without /proc and /dev", () => {
  const loaders = join(ROOT, "build/loaders/musl-x64");
  if (process.getuid?.() !== 0 || !existsSync(loaders))
    return console.log("── no root, or no musl: the container's files are not tried");
  const image = join(work, "image");
  const lines = readFileSync(join(ROOT, "container/Containerfile"), "utf8").split("\n");
  for (const line of lines.filter((each) => each.startsWith("COPY --from=files "))) {
    const words = line.split(" ").slice(2);
    for (const from of words.slice(0, -1)) {
      if (/\/LICENSE|\/THIRD-PARTY|^\/scratch/.test(from)) continue;
      const isProgram = from === "/minmaxq/minmaxq";
      const to = join(image, isProgram ? words.at(-1)! : `${words.at(-1)}${basename(from).replace("*", "x86_64")}`);
      mkdirSync(dirname(to), { recursive: true });
      cpSync(isProgram ? pathOf(musl.name) : join(loaders, from.replace("*", "x86_64")), to, { dereference: true });
    }
  }
  // The wheel's names of libraries have a number, by which they name each other.
  for (const name of readdirSync(join(loaders, "usr/lib")))
    cpSync(join(loaders, "usr/lib", name), join(image, "usr/lib", name), { dereference: true });
  mkdirSync(join(image, "work"));
  cpSync(
    join(ROOT, "node_modules/@mediapipe/face_detection/face_detection_short_range.tflite"),
    join(image, "work/face.tflite"),
  );
  const entry = JSON.parse(
    lines.find((line) => line.startsWith("ENTRYPOINT "))!.slice("ENTRYPOINT ".length),
  ) as string[];
  const words = ["quantize", "/work/face.tflite", "--data", "random:2", "-o", "/work/o.tflite"];
  const { exitCode, stderr } = Bun.spawnSync(["chroot", image, ...entry, ...words], { stdout: "ignore" });
  expect(`${exitCode} ${stderr}`).toBe("0 ");
  expect(existsSync(join(image, "work/o.tflite"))).toBe(true);
});

test("another folder gives the same bytes", () => {
  const again = join(work, "somewhere", "else");
  mkdirSync(again, { recursive: true });
  const { stdout } = Bun.spawnSync(["git", "ls-files", "-co", "--exclude-standard", "-z"], { cwd: ROOT });
  for (const name of stdout.toString().split("\0"))
    if (name !== "" && existsSync(join(ROOT, name))) cpSync(join(ROOT, name), join(again, name));
  cpSync(join(ROOT, "build"), join(again, "build"), { recursive: true, filter: (path) => !path.includes("loaders") });
  cpSync(join(ROOT, "src/model/schema.gen.ts"), join(again, "src/model/schema.gen.ts"));
  cpSync(join(ROOT, "library/options.gen.ts"), join(again, "library/options.gen.ts"));
  // Packages by hard links, where the disk is the same: by a symbolic link they would be found in the other folder.
  const copied = Bun.spawnSync(["cp", "-al", join(ROOT, "node_modules"), again]).exitCode === 0;
  if (!copied) cpSync(join(ROOT, "node_modules"), join(again, "node_modules"), { recursive: true });
  cpSync(join(ROOT, ".git"), join(again, ".git"), { recursive: true });
  const program = `const { compileExecutable } = await import("./build.ts"); await compileExecutable("out/minmaxq", ${JSON.stringify(arm.bun)});`;
  const { exitCode, stderr } = Bun.spawnSync([process.execPath, "-e", program], { cwd: again });
  expect(`${exitCode} ${stderr}`).toBe("0 ");
  expect(readFileSync(join(again, "out/minmaxq")).equals(readFileSync(pathOf(arm.name)))).toBe(true);
});

test("the page of platforms has every release", async () => {
  const page = await Bun.file(join(ROOT, "docs/platforms.md")).text();
  for (const { name, runsOn } of TARGETS) expect(page).toContain(`| \`${name}\` | ${runsOn} |`);
  expect(() => targetsNamed(["linux-x65"])).toThrow("linux-x65: is no release; there are linux-x64, ");
});
