/** Help pages fit their terminal: a line that is longer is broken by the terminal, inside of a word. */
import { describe, expect, test } from "bun:test";
import { COMMANDS, FRONTS } from "../../src/cli/commands.ts";
import { commandLines, items } from "../../src/terminal/columns.ts";
import { wrapped } from "../../src/terminal/table.ts";
import { cleanUpAfterwards, executable, folder, succeeded } from "./support.ts";

cleanUpAfterwards();

const cwd = folder();
const PAGES = ["", ...Object.keys(COMMANDS), ...Object.keys(FRONTS)];
/** Wide enough for every line of every page. */
const WIDE = "100000";

const page = async (name: string, columns: string | number) =>
  (await succeeded([...(name ? [name] : []), "--help"], { cwd, env: { COLUMNS: String(columns) } })).out;

/** All words, with lines of a shell put together again; a comment may stand above its line. */
const wordsOf = (text: string) =>
  text
    .replace(/ \\\n +/g, " ")
    .split(/\s+/)
    .sort();

describe.each([80, 60])("at %d columns", (columns) => {
  test.each(PAGES)("minmaxq %s --help: no line is longer, and no word is broken", async (name) => {
    const [narrow, wide] = [await page(name, columns), await page(name, WIDE)];
    expect(narrow.split("\n").filter((line) => line.length > columns)).toEqual([]);
    expect(wordsOf(narrow)).toEqual(wordsOf(wide));
  });
});

test("a terminal says how many columns it has", async () => {
  // A terminal of its own (pty), of 60 columns, whatever COLUMNS says.
  const chunks: string[] = [];
  const decoder = new TextDecoder();
  const child = Bun.spawn([executable(), "quantize", "--help"], {
    cwd,
    env: { PATH: "/usr/bin:/bin", COLUMNS: "200", TERM: "xterm" },
    terminal: { cols: 60, rows: 40, data: (_, bytes) => void chunks.push(decoder.decode(bytes, { stream: true })) },
  });
  await child.exited;
  child.terminal?.close();
  const lines = chunks.join("").split("\r\n");
  expect(lines.length).toBeGreaterThan(50);
  expect(lines.filter((line) => line.length > 60)).toEqual([]);
  expect(Math.max(...lines.map((line) => line.length))).toBeGreaterThan(50);
});

describe("columns", () => {
  test("text is broken at spaces alone", () => {
    expect(wrapped("to write the model", 8)).toEqual(["to write", "the", "model"]);
    expect(wrapped("unbreakable-word x", 4)).toEqual(["unbreakable-word", "x"]);
  });

  test("a long term stands above its text", () => {
    expect(
      items(
        [
          ["-a", "one two"],
          ["--a-very-long-option-of-all <x>", "three"],
        ],
        40,
      ),
    ).toEqual([`  -a${" ".repeat(26)}one two`, "  --a-very-long-option-of-all <x>", `${" ".repeat(30)}three`]);
  });

  test("lines of a shell stay lines of a shell", () => {
    expect(commandLines("run 'one two' --option value --more value", 30)).toEqual([
      "  run 'one two' \\",
      "    --option value \\",
      "    --more value",
    ]);
    expect(commandLines("run --with several words   # because of this", 36)).toEqual([
      "  # because of this",
      "  run --with several words",
    ]);
  });
});
