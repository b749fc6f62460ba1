/** LiteRT cut in two for the build: which functions come first is in litert-first.json, written by scripts/profile-litert.ts. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { LOADER, split } from "./split.ts";

/** The build that gives the same bits everywhere; the other one is for few, and stays whole. */
export const WHOLE = fileURLToPath(import.meta.resolve("@litertjs/core/wasm/litert_wasm_compat_internal.wasm"));
export const LIST = fileURLToPath(new URL("litert-first.json", import.meta.url));

/** Functions by their places among those that the module defines. */
export interface FirstFunctions {
  /** SHA-256 of the module that they are of. */
  readonly sha256: string;
  /** First and last place of each row of neighbours. */
  readonly functions: readonly (readonly [number, number])[];
}

export const hashOf = (bytes: Uint8Array) => new Bun.CryptoHasher("sha256").update(bytes).digest("hex");

/** Writes build/litert-first.wasm, litert-rest.wasm and litert-loader.wasm. Throws an Error where the list is of another LiteRT. */
export async function writeParts(folder: string): Promise<void> {
  const whole = new Uint8Array(readFileSync(WHOLE));
  const { sha256, functions }: FirstFunctions = JSON.parse(readFileSync(LIST, "utf8"));
  if (sha256 !== hashOf(whole))
    throw new Error(`${LIST} is of another version of LiteRT; run 'bun run scripts/profile-litert.ts'`);
  const wanted = new Set(functions.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, i) => from + i)));
  const { first, rest } = split(whole, (place) => wanted.has(place));
  await Bun.write(`${folder}/litert-first.wasm`, first);
  await Bun.write(`${folder}/litert-rest.wasm`, rest);
  await Bun.write(`${folder}/litert-loader.wasm`, LOADER);
}
