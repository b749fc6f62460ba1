/** Sizes as people write them. */
import { expect, test } from "bun:test";
import { parseSize, sizeRemark } from "../../src/options/sizes.ts";

test.each([
  ["2", 2e9],
  ["0.5", 5e8],
  ["999", 999e9],
  ["1000000", 1e6],
  ["2000000000", 2e9],
  ["500MB", 5e8],
  ["500m", 5e8],
  ["2G", 2e9],
  ["2 GB", 2e9],
  ["1.5GiB", 1.5 * 2 ** 30],
  ["4KiB", 4096],
])("%s", (text, bytes) => expect(parseSize(text)).toBe(bytes));

test.each(["", "x", "-1", "2X", "GB", "1e9", "12B"])("%p is no size", (text) =>
  expect(() => parseSize(text)).toThrow("is no size"),
);

test.each(["1000", "4096", "999999"])("%s may be anything", (text) => expect(() => parseSize(text)).toThrow("unit"));

test("only numbers that stand for GB are remarked on", () => {
  expect(sizeRemark("2")).toBe("2 is taken as 2.0 GB");
  for (const text of ["2GB", "2000000000", "500MB"]) expect(sizeRemark(text)).toBeUndefined();
});
