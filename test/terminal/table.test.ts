/** Names and tables that fit a width. */
import { expect, test } from "bun:test";
import { fitted, labelled, shortened, tableLines, withShortNames, wrapped } from "../../src/terminal/table.ts";

test("a name loses its middle, and never more than it must", () => {
  expect(shortened("abcdefghij", undefined)).toBe("abcdefghij");
  expect(shortened("abcdefghij", 10)).toBe("abcdefghij");
  expect(shortened("abcdefghij", 9)).toBe("ab…efghij");
  expect(shortened("abcdefghij", 1)).toBe("…");
  expect(shortened("abcdefghij", 0)).toBe("");
  for (let width = 2; width < 60; width++) {
    for (const name of ["x".repeat(80), "模型/层/".repeat(20), "é🙂".repeat(30)]) {
      const text = shortened(name, width);
      expect(Bun.stringWidth(text)).toBeLessThanOrEqual(width);
      // A wide character may leave a cell at either side.
      expect(Bun.stringWidth(text)).toBeGreaterThanOrEqual(width - 2);
    }
  }
});

test("names do not command the terminal, and do not end lines", () => {
  expect(shortened("a\nb\x1b]0;c\x07", 80)).toBe("a\ufffdb\ufffd]0;c\ufffd");
});

test("columns are as wide as their widest cell; one gives way", () => {
  const columns = [
    { heading: "n", align: "right" as const },
    { heading: "name", shrinks: true as const },
    { heading: "x" },
  ];
  const rows = [
    ["1", "a".repeat(30), "y"],
    ["22", "b", "zz"],
  ];
  expect(tableLines(columns, rows, 24)).toEqual([
    " n  name              x",
    ` 1  ${shortened("a".repeat(30), 16)}  y`,
    "22  b                 zz",
  ]);
  expect(tableLines(columns, rows, undefined)[1]).toBe(` 1  ${"a".repeat(30)}  y`);
  expect(tableLines(columns, [], 80)).toEqual([" n  name  x".trimStart()]);
});

test("lines are broken between words only", () => {
  expect(wrapped("  one two three", 9, "    ")).toEqual(["  one two", "    three"]);
  expect(wrapped("one unbreakable two", 6, "  ")).toEqual(["one", "  unbreakable", "  two"]);
  expect(wrapped("one two", undefined)).toEqual(["one two"]);
  expect(labelled("  a", "one two three", 12, 6)).toEqual(["  a   one", "      two", "      three"]);
});

const LONG =
  "model_1/model/batch_normalization_1/FusedBatchNormV3;model_1/model/conv2d_9/Conv2D;model_1/model/conv2d/Conv2D";

test("names in sentences take half of a line at most, and keep both ends; what is no name stays", () => {
  const note = `CONV_2D "${LONG}": as "y" does; try --layer '${LONG}=int16'`;
  expect(withShortNames(note, undefined)).toBe(note);
  const short = withShortNames(note, 80);
  const [, name] = /"(.*?)"/.exec(short)!;
  expect(Bun.stringWidth(name!)).toBeLessThanOrEqual(38);
  expect(LONG).toStartWith(name!.split("…")[0]!);
  expect(LONG).toEndWith(name!.split("…")[1]!);
  expect(short.replace(name!, LONG)).toBe(note);
});

test.each([80, 60, 120])("lines of a report fit %d columns, and lose no word", (width) => {
  const note = `  note: CONV_2D "${LONG}": 2 of 24 channels of its weights get a larger scale, so that bias "${LONG}" fits`;
  const lines = fitted(["a.tflite: done", note], width);
  expect(lines.filter((line) => line.length > width)).toEqual([]);
  expect(lines[0]).toBe("a.tflite: done");
  expect(lines.slice(2).every((line) => /^ {6}\S/.test(line))).toBe(true);
  const words = (text: string) => text.replace(/".*?"/g, "NAME").trim().split(/\s+/);
  expect(
    lines
      .slice(1)
      .flatMap((line) => line.trim())
      .join(" "),
  ).toContain("…");
  expect(
    words(
      lines
        .slice(1)
        .map((line) => line.trim())
        .join(" "),
    ),
  ).toEqual(words(note));
  expect(fitted([note], undefined)).toEqual([note]);
});
