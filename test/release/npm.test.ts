/** The npm packages, installed from their tarballs as a stranger would: the command, and the library in Node.js and in Bun. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pkg from "../../package.json" with { type: "json" };
import { withFreshExecutable } from "../../scripts/fresh.ts";
import { archive } from "../../scripts/release/archives.ts";
import { type NpmPackage, npmPackages } from "../../scripts/release/npm.ts";
import { TARGETS } from "../../scripts/release/targets.ts";

setDefaultTimeout(120_000);

const ROOT = join(import.meta.dir, "../..");
const work = mkdtempSync(join(tmpdir(), "minmaxq-npm-"));
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** The row for this machine, as npm chooses. */
const own = TARGETS.find(({ npm, starter }) => npm !== undefined && starter === "itself")!;
let packages: NpmPackage[];

beforeAll(async () => {
  const executable = join(work, "executable");
  withFreshExecutable((path) => cpSync(path, executable));
  const license = { name: "LICENSE", bytes: new Uint8Array(readFileSync(join(ROOT, "LICENSE"))) };
  packages = await npmPackages([own], () => executable, [license]);
  // Packed quickly: how small it gets is not looked at here.
  for (const { name, files } of packages) await Bun.write(join(work, name), await archive("tar.gz", files, 0, 1));
  writeFileSync(join(work, "package.json"), JSON.stringify({ name: "stranger", private: true, type: "module" }));
  const tarballs = packages.map(({ name }) => join(work, name));
  if (Bun.which("npm") === null) {
    console.log("── npm is not here: packages are put where it would");
    for (const [i, name] of ["@minmaxq/linux-x64", "minmaxq"].entries()) {
      mkdirSync(join(work, "node_modules", name), { recursive: true });
      Bun.spawnSync(["tar", "xzf", tarballs[i]!, "-C", join(work, "node_modules", name), "--strip-components=1"]);
    }
    return;
  }
  const { exitCode, stderr } = await ended("npm", "install", "--offline", "--no-audit", "--no-fund", ...tarballs);
  expect(`${exitCode} ${stderr}`).toBe("0 ");
  cpSync(
    join(ROOT, "node_modules/@mediapipe/face_detection/face_detection_short_range.tflite"),
    join(work, "face.tflite"),
  );
});

async function ended(...words: string[]) {
  const child = Bun.spawn(words, {
    cwd: work,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, NO_COLOR: "1" },
  });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { exitCode: await child.exited, stdout, stderr };
}

function manifestOf({ files }: NpmPackage): Record<string, unknown> {
  return JSON.parse(new TextDecoder().decode(files.find(({ name }) => name === "package/package.json")!.bytes));
}

test("the packages name platforms as npm does, and run nothing when they are installed", () => {
  const [platform, main] = packages.map(manifestOf) as [Record<string, unknown>, Record<string, unknown>];
  expect(platform).toMatchObject({ name: "@minmaxq/linux-x64", os: ["linux"], cpu: ["x64"], libc: ["glibc"] });
  const others = [
    "darwin-arm64",
    "darwin-x64",
    "linux-arm64",
    "linux-arm64-musl",
    "linux-x64",
    "linux-x64-musl",
    "win32-x64",
  ];
  const wanted = Object.fromEntries(others.map((name) => [`@minmaxq/${name}`, pkg.version]));
  expect(main.optionalDependencies).toEqual(wanted);
  for (const each of [platform, main]) expect(each).not.toHaveProperty("scripts");
});

test("npx minmaxq --version, and exit codes and streams of the executable", async () => {
  const command =
    Bun.which("npx") === null
      ? [process.execPath, "node_modules/minmaxq/bin/minmaxq.js"]
      : ["npx", "--no-install", "minmaxq"];
  expect(await ended(...command, "--version")).toEqual({ exitCode: 0, stdout: `${pkg.version}\n`, stderr: "" });
  const wrong = await ended(...command, "quantize", "nothing.tflite", "-o", "x.tflite");
  expect(wrong).toMatchObject({ exitCode: 1, stdout: "" });
  expect(wrong.stderr).toStartWith("minmaxq: nothing.tflite: there is no such file");
});

test("a signal to the command ends the executable, which cleans up", async () => {
  const script = "node_modules/minmaxq/bin/minmaxq.js";
  const runtime = Bun.which("node") ?? process.execPath;
  const words = ["quantize", "face.tflite", "--data", "random:5000", "-o", "never.tflite", "--timings"];
  const child = Bun.spawn([runtime, script, ...words], {
    cwd: work,
    stdout: "ignore",
    stderr: "pipe",
    stdin: "ignore",
  });
  // Until the executable has been started by the script.
  while (readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim() === "") await Bun.sleep(20);
  await Bun.sleep(300);
  child.kill("SIGTERM");
  const said = await new Response(child.stderr).text();
  expect([await child.exited, child.signalCode]).toEqual([143, null]);
  expect(said).toContain("stopped by SIGTERM");
  expect(existsSync(join(work, "never.tflite"))).toBe(false);
});

const PROGRAM = `
import { compare, inspect, MinmaxqError, quantize } from "minmaxq";
const lines = [];
const report = await quantize("face.tflite", { data: "random:2", output: "o.tflite", layer: ["classificator_8=float32"], inputDtype: ["int8"] }, { onLine: (line) => lines.push(line) });
const facts = await inspect("o.tflite");
const compared = await compare("face.tflite", "o.tflite", { data: "random:2", layers: true });
const errors = [];
const attempt = async (work) => { try { await work(); } catch (error) { errors.push([error instanceof MinmaxqError, error.message.split("\\n")[0], error.exitCode, typeof error.report]); } };
await attempt(() => inspect("nothing.tflite"));
await attempt(() => quantize("face.tflite", { output: "x.tflite", nonsense: 3 }));
await attempt(() => compare("face.tflite", "o.tflite", { data: "random:2", failBelow: "sqnr=500" }));
let stopped;
try { await quantize("face.tflite", { data: "random:5000", output: "y.tflite" }, { signal: AbortSignal.timeout(300) }); } catch (error) { stopped = error.name; }
console.log(JSON.stringify({ report, facts, compared, errors, stopped, lines: lines.length }));
`;

for (const runtime of ["node", "bun"])
  test(`the library in ${runtime}: results, errors, and stopping`, async () => {
    const path = runtime === "bun" ? process.execPath : Bun.which("node");
    if (path === null) return console.log("── Node.js is not here: the library is tried in Bun alone");
    writeFileSync(join(work, "program.mjs"), PROGRAM);
    const { exitCode, stdout, stderr } = await ended(path, "program.mjs");
    expect(`${exitCode} ${stderr}`).toBe("0 ");
    const { report, facts, compared, errors, stopped } = JSON.parse(stdout);
    const bytes = readFileSync(join(work, "o.tflite"));
    expect(report).toMatchObject({
      reportVersion: 1,
      output: { path: "o.tflite", bytes: bytes.length },
      layers: { float32: 1 },
    });
    expect(facts).toMatchObject({ path: "o.tflite", format: "tflite", bytes: bytes.length });
    expect(compared.outputs).toHaveLength(2);
    expect(compared.layers.length).toBeGreaterThan(50);
    expect(errors).toEqual([
      [true, "nothing.tflite: there is no such file; check the path of the model", 1, "undefined"],
      [true, "unknown option '--nonsense=3'; see 'minmaxq quantize --help'", 2, "undefined"],
      [true, "outputs that break a limit (2):", 1, "object"],
    ]);
    expect(stopped).toBe("TimeoutError");
    expect(existsSync(join(work, "y.tflite"))).toBe(false);
  });

test("its types: what is right compiles, a misspelt option, value or member does not", async () => {
  const file = (name: string, text: string) =>
    writeFileSync(join(work, name), `import { compare, inspect, quantize } from "minmaxq";\n${text}`);
  file(
    "right.ts",
    `const report = await quantize("a", { output: "b", data: ["x=1.npz"], mode: "mse", force: true, minPercentile: 2 });
    const bytes: number = report.output.bytes;
    const scale: readonly number[] | undefined = report.subgraphs[0]?.tensors[0]?.scale;
    const name: string = (await inspect("b")).subgraphs[0]!.name;
    const sqnr = (await compare("a", "b", { data: "random" })).outputs[0]!.metrics;
    export { bytes, scale, name, sqnr };`,
  );
  file(
    "wrong.ts",
    `await quantize("a", { data: "x" });
    await quantize("a", { output: "b", mode: "mode" });
    await quantize("a", { output: "b", outptu: 1 });
    (await inspect("b")).nothing;`,
  );
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const options = [
    "--noEmit",
    "--strict",
    "--target",
    "esnext",
    "--module",
    "nodenext",
    "--types",
    "",
    "--lib",
    "esnext,dom",
  ];
  const compiled = (name: string) => ended(process.execPath, "run", "--bun", tsc, ...options, name);
  expect((await compiled("right.ts")).stdout).toBe("");
  const said = (await compiled("wrong.ts")).stdout;
  expect([...said.matchAll(/^wrong\.ts\((\d+),/gm)].map((match) => Number(match[1]))).toEqual([2, 3, 4, 5]);
});

test("without the platform's package, the command says what to do; MINMAXQ_EXECUTABLE names another", async () => {
  const alone = join(work, "alone");
  mkdirSync(alone);
  cpSync(join(work, "node_modules/minmaxq"), join(alone, "minmaxq"), { recursive: true });
  const script = join(alone, "minmaxq/bin/minmaxq.js");
  const env = { PATH: process.env.PATH };
  const started = (more: object) =>
    Bun.spawnSync([process.execPath, script, "--version"], { cwd: alone, env: { ...env, ...more } });
  // Below a folder whose own node_modules has it, so it is moved out of the way.
  const moved = join(work, "node_modules/@minmaxq");
  cpSync(moved, join(work, "moved"), { recursive: true });
  rmSync(moved, { recursive: true });
  const without = started({});
  expect(without.exitCode).toBe(1);
  expect(without.stderr.toString()).toStartWith(
    "minmaxq: @minmaxq/linux-x64 or @minmaxq/linux-x64-musl is not installed; ",
  );
  const named = started({ MINMAXQ_EXECUTABLE: join(work, "executable") });
  expect(named.stdout.toString()).toBe(`${pkg.version}\n`);
  expect(started({ MINMAXQ_EXECUTABLE: "/nowhere" }).stderr.toString()).toContain("/nowhere is not there");
});
