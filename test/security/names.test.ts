/**
 * Names in models, samples and job lists may hold anything; on a terminal and in a log they are text: no escape, no control character, and no line of
 * their own.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { keepPlain, withPlainNames } from "../../src/base/plain.ts";
import { writeModel } from "../../src/model/index.ts";
import { npy } from "../calibration/support.ts";
import { cleanUpAfterwards, folder, minmaxq } from "../cli/support.ts";
import { named } from "./hostile-models.ts";

cleanUpAfterwards();

const cwd = folder();
/** A title for the window, a bell, a line that a pipeline obeys, a return, an escape of one byte, text from right to left, hidden text. */
const NAME = "a\x1b]0;title\x07\n::error::not ours\r\x9b8m\u202ecba\u2028\x1b[8m";

beforeAll(async () => {
  await writeModel(named(NAME), join(cwd, "m.tflite"), { dialect: "tflite" });
  await writeModel(named("plain"), join(cwd, "plain.tflite"), { dialect: "tflite" });
  writeFileSync(join(cwd, "x.npy"), npy("<f4", [1, 9, 9, 9], new Uint8Array(4 * 729)));
  mkdirSync(join(cwd, "files"));
  for (const file of ["a\n::error::not ours.npy", "b.npy"])
    writeFileSync(join(cwd, "files", file), npy("<f4", [1, 9, 9, 9], new Uint8Array(4 * 729)));
  const jobs = [{ model: "m.tflite", output: `q\n::error::not ours.tflite`, scheme: "int8\n::error::not ours" }];
  writeFileSync(join(cwd, "wrong.json"), JSON.stringify({ jobs }));
  writeFileSync(
    join(cwd, "failing.json"),
    JSON.stringify({ jobs: [{ model: "m.tflite", output: "q\n::error::not ours.tflite" }] }),
  );
  const layers = [{ name: NAME, dtype: "uint9" }];
  writeFileSync(join(cwd, "layers.json"), JSON.stringify({ layers }));
});

const LINES: readonly (readonly string[])[] = [
  ["inspect", "m.tflite"],
  ...["operators", "tensors", "constants", "signatures", "text", "json"].map((view) => [
    "inspect",
    "m.tflite",
    `--${view}`,
  ]),
  ["inspect", "m.tflite", "--tensor", "b"],
  ["inspect", "m.tflite", "--tensor", `${NAME}1`],
  ["inspect", "m.tflite", "--tensor", `${NAME}1`, "--json"],
  ["explain", "m.tflite", `${NAME}3`],
  ["verify", "m.tflite"],
  ["check", "m.tflite", "--target", "litert"],
  ["check", "m.tflite", "--target", "onert", "--json"],
  ["convert", "m.tflite", "-o", "c.circle"],
  ["convert", "m.tflite", "-o", "c.circle", "--target", "onert"],
  ["quantize", "m.tflite", "--data", "random:1", "-o", "q.tflite"],
  ["quantize", "m.tflite", "--scheme", "dynamic-int8", "-o", "d.tflite"],
  ["quantize", "m.tflite", "--data", "nosuch=random:1", "-o", "q.tflite"],
  ["quantize", "m.tflite", "--data", "x.npy", "-o", "q.tflite"],
  ["quantize", "m.tflite", "--data", "files", "-o", "q.tflite"],
  ["quantize", "m.tflite", "--data", "files/*.npy", "-o", "q.tflite"],
  ["quantize", "m.tflite", "--data", "random:1", "--layer", "nosuch=int16", "-o", "q.tflite"],
  ["quantize", "m.tflite", "--data", "random:1", "--config", "layers.json", "-o", "q.tflite"],
  ["compare", "m.tflite", "m.tflite", "--data", "random:1", "--layers"],
  ["compare", "m.tflite", "plain.tflite", "--data", "x.npy"],
  ["diff", "m.tflite", "plain.tflite"],
  ["data", "show", "m.tflite", "--data", "x.npy"],
  ["data", "show", "m.tflite", "--data", "random:1"],
  ["quantize-weights", "m.tflite", "-o", "w.circle"],
  ["fake-quantize-weights", "m.tflite", "-o", "f.circle"],
  ["set-parameters", "m.tflite", "--set", "b=1,0", "-o", "s.circle"],
  ["circle-quantizer", "--quantize_with_minmax", "float32", "uint8", "layer", "m.tflite", "o.circle"],
  ["record-minmax", "--input_model", "m.tflite", "--output_model", "r.circle"],
  ["batch", "wrong.json"],
  ["batch", "failing.json"],
  ["batch", "failing.json", "--dry-run"],
];

/** Control characters and signs that turn text; spaces and ends of lines are text. */
const COMMANDS = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

describe("nothing in a name is obeyed", () => {
  for (const [i, words] of LINES.entries())
    test(`${i} ${words.filter((word) => word !== NAME && !word.includes("\x1b")).join(" ")}`, async () => {
      const { out, err } = await minmaxq(words, { cwd });
      const said = out + err;
      expect(said).not.toMatch(COMMANDS);
      expect(said.split("\n").filter((line) => line.trimStart().startsWith("::error"))).toEqual([]);
      expect(err).not.toContain("internal error");
    });

  test("and in JSON the name is whole", async () => {
    const { out } = await minmaxq(["inspect", "m.tflite", "--json"], { cwd });
    expect(JSON.parse(out).subgraphs[0].tensors[0].name).toBe(`${NAME}0`);
  });
});

test("ends of lines in names are known again, those of ours stay", () => {
  keepPlain("one\ntwo three\nfour");
  keepPlain("\nx");
  const said = "problems (2):\n  a one\ntwo three\nfour is wrong\n  b";
  expect(withPlainNames(said)).toBe("problems (2):\n  a one\ufffdtwo three\ufffdfour is wrong\n  b");
  // Broken at a space.
  expect(withPlainNames("  three\nfour")).toBe("  three\ufffdfour");
  expect(withPlainNames("a \nx")).toBe("a \ufffdx");
  expect(withPlainNames("no names\nhere")).toBe("no names\nhere");
});
