/** docs/options.md is what the tables say now, and says it all. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { optionReference } from "../../scripts/write-options.ts";
import { allCommands, FRONTS } from "../../src/cli/commands.ts";
import type { OptionRow } from "../../src/options/row.ts";
import { OPTIONS } from "../../src/options/table.ts";

const page = readFileSync(join(import.meta.dir, "../../docs/options.md"), "utf8");

test("the page is the one that `bun run scripts/write-options.ts` makes", async () => {
  expect(page).toBe(await optionReference());
});

test("it has every command and front, and every option once", async () => {
  const commands = (await allCommands()).flatMap((each) => each.subcommands ?? [each]);
  const titles = page.match(/(?<=^##+ ).*/gm)!;
  for (const name of [...commands.map((each) => each.name), ...Object.keys(FRONTS)])
    expect(titles.filter((title) => title === name)).toEqual([name]);
  const used = new Set(commands.flatMap(({ options }) => options));
  for (const name of used) expect(page.split(`\n- \`${OPTIONS[name].flags}\`: `)).toHaveLength(2);
});

test("of options that take a few words, help says them, or the option that they are explained at", () => {
  const rows: OptionRow[] = Object.values(OPTIONS);
  const silent = rows.filter(
    ({ help, parse }) =>
      parse?.choices && !/(?<=as )--[a-z]/.test(help) && !parse.choices.some((word) => help.includes(word)),
  );
  expect(silent).toEqual([]);
});

test("no line is hard to read, and each ends with a sentence's end or goes on", () => {
  const lines = page.split("\n").filter((line) => !line.startsWith("|"));
  expect(lines.filter((line) => [...line].length > 110)).toEqual([]);
  expect(page.match(/^- .*(?:\n {2}.*)*/gm)!.filter((bullet) => !/[.:]$/.test(bullet))).toEqual([]);
});
