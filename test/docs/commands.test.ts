/** Every command in README.md and docs/ runs, page by page, in a folder that has the files that the page speaks of. */
import { beforeAll, expect, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { allCommands, FRONTS } from "../../src/cli/commands.ts";
import { cleanUpAfterwards, executable, folder } from "../cli/support.ts";
import { commandsOf, type DocumentedCommand, jsonOf } from "./blocks.ts";
import { BATCH_COMMANDS, WORKER_COMMAND } from "./queue-commands.ts";
import { Stage, type World } from "./stage.ts";

cleanUpAfterwards();

const root = join(import.meta.dir, "../..");
const textOf = (page: string) => readFileSync(join(root, page), "utf8");
/** The long ones first: they are run in this order, and each test waits for its own page only. */
const pages = [
  "README.md",
  ...readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
].toSorted((a, b) => commandsOf(textOf(b)).length - commandsOf(textOf(a)).length);

/** What test/batch/queue.test.ts runs, with a server. Docs mark it with `# not run here`, but for the page that is made. */
const LEFT_OUT = [WORKER_COMMAND, ...BATCH_COMMANDS];

const failures = new Map<string, Promise<string[]>>();
const isLeftOut = ({ text }: DocumentedCommand) => LEFT_OUT.includes(text);

/** Words as a shell splits them. */
function wordsOf(text: string): string[] {
  return (text.match(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g) ?? []).map((word) => word.replace(/['"]/g, ""));
}

/** Names that a command writes. */
function writtenBy(words: readonly string[]): Set<string> {
  const options = [
    "-o",
    "--output",
    "--output_model",
    "--output_path",
    "--explain",
    "--sheet",
    "--visq",
    "--save-config",
    "--trace",
    ">",
  ];
  const written = words.filter((_, i) => options.includes(words[i - 1] ?? ""));
  if (words[1] === "circle-quantizer") written.push(words.at(-1)!);
  return new Set(written);
}

function worldOf(words: readonly string[]): World {
  if (words[1] === "batch") return "batch";
  if (words.includes("quantize-onnx") || words.includes("--quantize_onnx_fq_model")) return "onnx";
  return words.some((word) => /^(encode|decode)=/.test(word)) || words.includes("--signature") ? "signatures" : "plain";
}

/** The exit codes that a command may have: what is shown below it says so. */
function codesOf(command: DocumentedCommand, words: readonly string[]): number[] {
  if (words[1] === "diff") return [1];
  if (command.shown.some((line) => /^minmaxq: |^(would )?fail(ed)? \(\d+ job/.test(line))) return [1, 2];
  return [0];
}

const bin = folder();

async function runPage(page: string): Promise<string[]> {
  const text = textOf(page);
  const files: Record<string, string> = {
    "layers.json": jsonOf(text, /"layers"/) ?? '{ "layers": [{ "names": ["conv2d_1"], "dtype": "int16" }] }',
    "one.cfg": "[one-quantize]\ninput_path=in.circle\noutput_path=out.circle\ninput_data=face_128.h5\n",
  };
  const jobs = jsonOf(text, /"jobs"/);
  if (jobs !== undefined) files["jobs.json"] = jobs;
  const stages = new Map<World, Stage>();
  const problems: string[] = [];
  try {
    for (const command of commandsOf(text).filter((each) => !isLeftOut(each))) {
      const words = wordsOf(command.text);
      const world = worldOf(words);
      const stage = stages.get(world) ?? new Stage(world, files);
      stages.set(world, stage);
      const problem = await run(command, words, stage).catch((error) => String(error));
      if (problem !== undefined) problems.push(`${page}:${command.line}: ${command.text}: ${problem}`);
    }
  } finally {
    for (const { cwd } of stages.values()) rmSync(cwd, { recursive: true, force: true });
  }
  return problems;
}

async function run(command: DocumentedCommand, words: readonly string[], stage: Stage): Promise<string | undefined> {
  if (command.isMarked) return "is marked '# not run here', but the test's list does not have it";
  const written = writtenBy(words);
  if (words.includes("batch")) await stage.batches(command.shown.some((line) => line.includes("broken.tflite")));
  else await stage.provide([...words, ...(words.includes("one.cfg") ? ["in.circle", "face_128.h5"] : [])], written);
  const line = command.text.replaceAll("/usr/local/", "usr/local/");
  const child = Bun.spawn(["/bin/bash", "-o", "pipefail", "-c", line], {
    cwd: stage.cwd,
    env: { PATH: `${bin}:/usr/bin:/bin`, HOME: stage.home, MINMAXQ_THREADS: "1" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const all = `${out}\n${err}`;
  if (!codesOf(command, words).includes(code)) return `exit code ${code}: ${all.trim().slice(-600)}`;
  for (const name of written)
    if (MODEL_OR_DATA.test(name) && !existsSync(stage.path(name)) && code === 0) return `did not write ${name}`;
  return differs(command.shown, all);
}

const MODEL_OR_DATA = /\.(tflite|circle|npz|npy|json|png)$/;

/** What is shown begins like what is printed, up to the first colon; and an error is the one that is shown. */
function differs(shown: readonly string[], printed: string): string | undefined {
  const lines = printed.split("\n").map((line) => line.replace(/ +/g, " "));
  const first = shown.find((line) => line !== "");
  const begin = first !== undefined && /^\S.*?: /.test(first) ? [/^\S.*?: /.exec(first)![0]] : [];
  const errors = shown.filter((line) => line.startsWith("minmaxq: "));
  const missing = [...begin, ...errors].find(
    (text) => !lines.some((line) => line.startsWith(text.replace(/ +/g, " ").trimEnd())),
  );
  return missing === undefined
    ? undefined
    : `shows "${missing}", which was not printed: ${printed.trim().slice(0, 400)}`;
}

beforeAll(() => {
  symlinkSync(executable(), join(bin, "minmaxq"));
  // Programs that docs pipe into read everything; what they make of it is not ours.
  for (const name of ["jq", "man"]) {
    writeFileSync(join(bin, name), "#!/bin/sh\nexec cat > /dev/null\n");
    chmodSync(join(bin, name), 0o755);
  }
  // Two pages at a time.
  const waiting = [...pages];
  const settle = new Map(waiting.map((page) => [page, Promise.withResolvers<string[]>()]));
  for (const [page, { promise }] of settle) failures.set(page, promise);
  const work = async () => {
    for (let page = waiting.shift(); page !== undefined; page = waiting.shift()) {
      const { resolve } = settle.get(page)!;
      await runPage(page).then(resolve, (error) => resolve([String(error)]));
    }
  };
  void work();
  void work();
});

/** Milliseconds for a page: dozens of commands, each a process. */
const PAGE = 180_000;

for (const page of pages)
  test(
    `${page}: ${commandsOf(textOf(page)).length} commands`,
    async () => {
      expect(await failures.get(page)!).toEqual([]);
    },
    PAGE,
  );

test("what is left out is in the docs, and needs a server", () => {
  const all = pages.flatMap((page) => commandsOf(textOf(page)));
  expect(LEFT_OUT.filter((text) => !all.some((each) => each.text === text))).toEqual([]);
  expect(LEFT_OUT.filter((text) => !/ --queue /.test(text))).toEqual([]);
});

test("every example of a command's help is on the page of options, and so is run", async () => {
  const run = commandsOf(textOf("docs/options.md")).map(({ text }) => text);
  const commands = (await allCommands()).flatMap((each) => each.subcommands ?? [each]);
  const examples = commands.flatMap(({ examples }) => examples).filter((each) => each.startsWith("minmaxq "));
  expect(examples.map((each) => each.replace(/ +# .*$/, "")).filter((each) => !run.includes(each))).toEqual([]);
  for (const front of Object.keys(FRONTS)) expect(run.some((each) => each.startsWith(`minmaxq ${front} `))).toBe(true);
});
