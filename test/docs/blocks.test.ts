/** What counts as a command of a page. */
import { expect, test } from "bun:test";
import { commandsOf, jsonOf } from "./blocks.ts";

const PAGE = `Text, minmaxq is no command here.

minmaxq quantize is none either.

    minmaxq inspect a.tflite   # why

    a.tflite: tflite
      more

Text.

\`\`\`sh
$ minmaxq compare a b \\
    --data c \\
    --layers
shown
$ other --tool
not shown of ours
\`\`\`

1. An item

       minmaxq worker   # not run here

    { "jobs": [
      "x" ] }
`;

test("indented, fenced, after $, in several lines, with a comment; and what is shown below", () => {
  expect(commandsOf(PAGE).map((each) => ({ ...each, shown: each.shown.filter((line) => line !== "") }))).toEqual([
    { line: 5, text: "minmaxq inspect a.tflite", isMarked: false, shown: ["a.tflite: tflite", "  more"] },
    { line: 13, text: "minmaxq compare a b --data c --layers", isMarked: false, shown: ["shown"] },
    { line: 23, text: "minmaxq worker", isMarked: true, shown: ['{ "jobs": [', '  "x" ] }'] },
  ]);
});

test("JSON of a page", () => {
  expect(JSON.parse(jsonOf(PAGE, /"jobs"/)!)).toEqual({ jobs: ["x"] });
  expect(jsonOf(PAGE, /"layers"/)).toBeUndefined();
});
