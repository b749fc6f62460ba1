/** Which failures are worth another try. */
import { expect, test } from "bun:test";
import { MinmaxqError, UsageError } from "../../src/base/errors.ts";
import { mayPass } from "../../src/batch/passing.ts";

const system = (code: string) => Object.assign(new Error(`${code}: said the system`), { code });

test.each([
  ["a full disk, in our words", new MinmaxqError("the disk is full", { cause: system("ENOSPC") }), true],
  ["a failing disk", system("EIO"), true],
  [
    "a share that is away, two causes down",
    new MinmaxqError("a", { cause: new MinmaxqError("b", { cause: system("ESTALE") }) }),
    true,
  ],
  ["no memory", new RangeError("Out of memory"), true],
  ["a wrong model", new MinmaxqError("is no model"), false],
  ["a model that speaks of memory", new MinmaxqError('"out of memory" is no tensor'), false],
  ["a missing file", new MinmaxqError("there is no such file", { cause: system("ENOENT") }), false],
  ["a wrong option", new UsageError("no"), false],
  ["a defect of ours", new TypeError("undefined is not a function"), false],
  ["no error at all", "thrown", false],
])("%s", (_, error, passes) => {
  expect(mayPass(error)).toBe(passes);
});
