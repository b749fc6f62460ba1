/** Completions run in their shells; man pages go through groff. Expected words are those of the command line's own tests. */
import { beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { COMMANDS, FRONTS } from "../../src/cli/commands.ts";
import { cleanUpAfterwards, folder, refused, succeeded } from "../cli/support.ts";

cleanUpAfterwards();

const cwd = folder();
const SHELLS = ["bash", "zsh", "fish"] as const;
const without = (shell: string) => (Bun.which(shell) ? "" : ` (skipped: there is no ${shell})`);

beforeAll(async () => {
  for (const shell of SHELLS)
    writeFileSync(join(cwd, `c.${shell}`), (await succeeded(["completion", shell], { cwd })).out);
  mkdirSync(join(cwd, "a folder"));
  for (const name of ["m.tflite", "two words.circle", "samples.npz"]) writeFileSync(join(cwd, name), "");
});

async function run(command: string[]): Promise<string> {
  const child = Bun.spawn(command, {
    cwd,
    env: { PATH: "/usr/bin:/bin", HOME: cwd, LC_ALL: "C.UTF-8" },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  expect({ code: await child.exited, err }).toEqual({ code: 0, err: "" });
  return out;
}

/** What bash offers for the last of the words, as it splits them. */
async function inBash(...words: string[]): Promise<string[]> {
  const script = `source c.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _minmaxq; printf "%s\\n" "\${COMPREPLY[@]}"`;
  const out = await run(["bash", "--norc", "-c", script, "bash", "minmaxq", ...words]);
  return out.split("\n").filter((line) => line !== "");
}

describe("bash", () => {
  const rows: [words: string[], ...offers: string[]][] = [
    [["qua"], "quantize", "quantize-weights", "quantize-onnx"],
    [["one"], "one-quantize"],
    [["quantize", "--gran"], "--granularity"],
    [["quantize", "--granularity", ""], "layer", "channel"],
    [["quantize", "--granularity", "=", "la"], "layer"],
    [["quantize", "--granularity", "="], "layer", "channel"],
    [["quantize", "--dtype", "i"], "int16"],
    [["--verbose", "convert", "--to", ""], "circle", "tflite"],
    [["completion", ""], "bash", "zsh", "fish"],
    [["man", "comp"], "compare", "completion"],
    [["help", "circle-e"], "circle-eval-diff"],
    [["quantize", ""], "a folder", "m.tflite", "two words.circle"],
    [["quantize", "two"], "two words.circle"],
    [["quantize", "m.tflite", "--data", "s"], "samples.npz"],
    [["batch", "--out", ""], "a folder"],
    [["quantize", "--memory-limit", ""]],
    [["circle-quantizer", "--quantize_w"], "--quantize_with_minmax", "--quantize_weights"],
  ];
  for (const [words, ...offers] of rows)
    test(words.join(" "), async () => expect((await inBash(...words)).sort()).toEqual([...offers].sort()));
});

describe.skipIf(!Bun.which("fish"))(`fish${without("fish")}`, () => {
  const inFish = async (line: string) =>
    (await run(["fish", "--no-config", "-c", `source c.fish; complete -C '${line}'`]))
      .split("\n")
      .map((each) => each.split("\t")[0]!)
      .filter((each) => each !== "");
  const rows: [line: string, ...offers: string[]][] = [
    ["minmaxq quantize-", "quantize-onnx", "quantize-weights"],
    ["minmaxq quantize --gran", "--granularity"],
    ["minmaxq quantize --granularity ", "channel", "layer"],
    ["minmaxq man comp", "compare", "completion"],
    ["minmaxq completion ", "bash", "fish", "zsh"],
    ["minmaxq inspect m.", "m.tflite"],
  ];
  for (const [line, ...offers] of rows) test(line, async () => expect((await inFish(line)).sort()).toEqual(offers));
});

describe.skipIf(!Bun.which("zsh"))(`zsh${without("zsh")}`, () => {
  /** What the function asks compsys for, with its functions printing their arguments. */
  const inZsh = (current: number, ...words: string[]) => {
    const stubs = `compdef() { : }; _arguments() { print -rl -- "$@" }; _describe() { print -rl -- "\${(@P)4}" };`;
    return run([
      "zsh",
      "-f",
      "-c",
      `${stubs} source ./c.zsh; words=(${words.map((word) => `'${word}'`).join(" ")}); CURRENT=${current}; _minmaxq`,
    ]);
  };

  test("commands with their summaries", async () => {
    const lines = (await inZsh(2, "minmaxq", "")).split("\n");
    for (const name of [...Object.keys(COMMANDS), ...Object.keys(FRONTS)])
      expect(lines.filter((line) => line.startsWith(`${name}:`)).length).toBe(1);
  });

  test("options with values and help, and files of models", async () => {
    const lines = (await inZsh(3, "minmaxq", "quantize", "")).split("\n");
    expect(lines.find((line) => line.startsWith("*--granularity["))).toEndWith(":granularity:(layer channel)");
    expect(lines).toContain('1:model:_files -g "*(.tflite|.circle)"');
    // A colon or bracket in help would end it.
    expect(lines.find((line) => line.startsWith("*--data["))).toContain("random\\[\\:N\\[\\:SEED\\]\\]");
  });

  test("compsys takes it", async () => {
    // The real functions: what they do not understand they say.
    await run([
      "zsh",
      "-f",
      "-c",
      "autoload -U compinit; compinit -D -u; source ./c.zsh; print -r -- $_comps[minmaxq]",
    ]).then((out) => expect(out).toBe("_minmaxq\n"));
  });
});

test("a shell that there is none for, a page that there is none of", async () => {
  await refused(["completion", "tcsh"], { cwd }, 2, '"tcsh"', "bash, zsh, fish");
  await refused(["man", "nonsense"], { cwd }, 2, '"nonsense"', "quantize");
});

describe.skipIf(!Bun.which("groff"))(`man pages${without("groff")}`, () => {
  /** The page as a terminal shows it, without overstrikes. groff warns of what it does not understand. */
  async function rendered(...words: string[]): Promise<string> {
    const name = `page-${words.join("-")}.1`;
    writeFileSync(join(cwd, name), (await succeeded(["man", ...words], { cwd })).out);
    const out = await run(["groff", "-man", "-Tutf8", "-ww", "-P-c", "-P-b", "-P-u", "-P-o", name]);
    return out.replace(/\x1b\[\d*m/g, "").replace(/.\x08/g, "");
  }

  test("the program's page names all commands and fronts", async () => {
    const words = (await rendered()).replace(/\s+/g, " ");
    for (const name of [...Object.keys(COMMANDS), ...Object.keys(FRONTS)])
      expect(words).toContain(`minmaxq-${name}(1)`);
    for (const part of ["NAME", "SYNOPSIS", "EXIT STATUS", "130, 143, 129"]) expect(words).toContain(part);
  });

  for (const name of [...Object.keys(COMMANDS), ...Object.keys(FRONTS)])
    test(`minmaxq man ${name} has every word of --help`, async () => {
      const page = (await rendered(name)).replace(/\s+/g, " ");
      const help = (await succeeded([name, "--help"], { cwd })).out;
      // A person copies options: dashes are ASCII ones.
      for (const [option] of help.matchAll(/^ {2}(?:-\w, )?--[\w-]+/gm)) expect(page).toContain(option.trim());
    });
});

test("files for releases are those that the commands print", async () => {
  const child = Bun.spawn(["bun", "run", "scripts/write-manual.ts", join(cwd, "manual")], {
    cwd: join(import.meta.dir, "../.."),
    stdout: "ignore",
    stderr: "inherit",
  });
  expect(await child.exited).toBe(0);
  const text = (name: string) => readFileSync(join(cwd, "manual", name), "utf8");
  expect(text("man/minmaxq-quantize.1")).toBe((await succeeded(["man", "quantize"], { cwd })).out);
  expect(text("man/minmaxq.1")).toBe((await succeeded(["man"], { cwd })).out);
  expect(text("completions/_minmaxq")).toBe(readFileSync(join(cwd, "c.zsh"), "utf8"));
});
