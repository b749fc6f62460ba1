/** Lists below a sentence. */
import { expect, test } from "bun:test";
import { indented } from "../../src/base/text.ts";

const line = (number: number) => `CONV_2D "conv${number}": its scale is ${number}.5, not 1`;

test("five of a kind are shown, and how many more there are; other kinds stand beside them", () => {
  const lines = [1, 2, 3, 4, 5, 6, 7].map(line);
  expect(indented([...lines, 'input "x": has no range'])).toBe(
    [...lines.slice(0, 5), "and 2 more like these", 'input "x": has no range'].map((each) => `  ${each}`).join("\n"),
  );
});

test("as many as that are all shown, of whichever operators", () => {
  const lines = [
    'ADD "a": is 8 long',
    'SUB "b": is 9 long',
    'MUL "c": is 10 long',
    'DIV "d": is 1 long',
    'EXP "e": is 0 long',
  ];
  expect(indented(lines)).toBe(lines.map((each) => `  ${each}`).join("\n"));
  expect(indented([])).toBe("");
});
