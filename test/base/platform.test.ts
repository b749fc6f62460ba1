/** What differs by platform: paths of Windows, packed files, memory where the system does not tell it. */
import { afterEach, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { takeWasm } from "../../scripts/pack-wasm.ts";
import { residentMemory } from "../../src/base/memory.ts";
import { unpacked } from "../../src/base/packed.ts";
import { endsAsFolder, withSlashes } from "../../src/base/platform.ts";
import { freeMemory } from "../../src/calibration/pool.ts";

test("on Windows both signs stand between folders, elsewhere / alone does", () => {
  expect(withSlashes("photos\\**\\*.jpg", true)).toBe("photos/**/*.jpg");
  expect(withSlashes("photos\\*.jpg", false)).toBe("photos\\*.jpg");
  expect([
    endsAsFolder("a\\", true),
    endsAsFolder("a\\", false),
    endsAsFolder("a/", true),
    endsAsFolder("a", true),
  ]).toEqual([true, false, true, false]);
});

const tell = process.memoryUsage.rss;
afterEach(() => {
  process.memoryUsage.rss = tell;
});

test("memory is known roughly where there is no /proc", () => {
  expect(residentMemory()).toBeGreaterThan(1e6);
  process.memoryUsage.rss = () => {
    throw new Error("Failed to get memory usage");
  };
  expect(residentMemory()).toBe(0);
  expect(freeMemory()).toBeGreaterThan(1e6);
});

test("a file is the same, compressed or not", () => {
  const bytes = crypto.getRandomValues(new Uint8Array(5000));
  expect(unpacked(bytes)).toBe(bytes);
  expect(unpacked(new Uint8Array(Bun.zstdCompressSync(bytes)))).toEqual(bytes);
});

test("HDF5's WebAssembly is taken out of its script, and a script of another shape is refused", () => {
  const path = join(import.meta.dir, "../../node_modules/h5wasm/dist/node/hdf5_util.js");
  const whole = readFileSync(path, "utf8");
  const { script, wasm } = takeWasm(whole);
  expect(script.length).toBeLessThan(whole.length / 10);
  expect(script).toContain("findWasmBinary(){return unpackedFile(packedWasm)}");
  expect(WebAssembly.Module.exports(new WebAssembly.Module(wasm as Uint8Array<ArrayBuffer>)).length).toBeGreaterThan(
    50,
  );
  expect(() => takeWasm("function other(){}")).toThrow("h5wasm holds its WebAssembly in another way");
});
