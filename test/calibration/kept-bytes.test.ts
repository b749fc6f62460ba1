/** Bytes that are kept: in memory while there is room, then in a file, and never in both. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { KeptBytes } from "../../src/calibration/kept-bytes.ts";
import { readRange } from "../../src/model/bytes.ts";

const SIZE = 1 << 20;
const bytes = (value: number) => new Uint8Array(SIZE).fill(value);

describe("what is kept", () => {
  const kept = new KeptBytes(2 * SIZE);
  afterAll(() => kept.close());

  test("comes back as often as it is asked for, from memory and from the file, of which nothing is left", () => {
    const readers = [1, 2, 3, 4].map((value) => kept.add(bytes(value)));
    const ranges = [5, 6].map((value) => kept.range(bytes(value)));
    for (let pass = 0; pass < 2; pass++) expect(readers.map((read) => read())).toEqual([1, 2, 3, 4].map(bytes));
    expect(ranges.map(readRange)).toEqual([5, 6].map(bytes));
    const path = ranges[0]!.source.path!;
    expect(existsSync(path)).toBe(true);
    kept.close();
    expect(existsSync(path)).toBe(false);
  });
});

test("what went to the file is not kept in memory, too", async () => {
  const kept = new KeptBytes(0);
  const read: (() => Uint8Array)[] = [];
  const seen: WeakRef<Uint8Array>[] = [];
  // A function of its own, so that nothing of it is on the stack later.
  const fill = () => {
    for (let i = 0; i < 40; i++) {
      const some = bytes(i);
      seen.push(new WeakRef(some));
      read.push(kept.add(some));
    }
  };
  fill();
  await Bun.sleep(0);
  Bun.gc(true);
  // What lies on the stack by chance may stay.
  expect(seen.filter((each) => each.deref() !== undefined).length).toBeLessThan(10);
  expect(read.map((each) => each()[0])).toEqual(Array.from({ length: 40 }, (_, i) => i));
  kept.close();
});
