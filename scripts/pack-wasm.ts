/**
 * Makes the executable smaller without making it slower: what few runs need lies in it compressed (Zstandard), and nothing twice.
 *
 * - HDF5's WebAssembly comes as a text inside of a script, which would be there once as source and once more as bytecode: 18 MB. It becomes a
 *   file: 1 MB.
 * - LiteRT's relaxed-SIMD build serves `--fast-math` alone: 9 MB become 2. The usual build stays as it is, because every recording would wait.
 *
 * src/base/packed.ts reads them.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { BunPlugin } from "bun";

const ROOT = join(import.meta.dir, "..");
/** A fifth of a second; the highest level takes seven for 12 % less. */
const LEVEL = 9;

/** Where the script has its WebAssembly: the one argument of a function, in quotes. */
const BEFORE = "function findWasmBinary(){return binaryDecode('";
const AFTER = "')}";

/** The script without the WebAssembly that was in it, and that. Throws where it is not as expected. */
export function takeWasm(script: string): { script: string; wasm: Uint8Array } {
  const start = script.indexOf(BEFORE);
  const begin = start + BEFORE.length;
  const end = script.indexOf(AFTER, begin);
  const decoder = /function binaryDecode\(bin\)\{.*?return o\}/.exec(script)?.[0];
  if (start < 0 || end < 0 || decoder === undefined)
    throw new Error(
      "scripts/pack-wasm.ts: h5wasm holds its WebAssembly in another way than before; look at its script",
    );
  const text = script.slice(begin, end);
  const wasm: Uint8Array = new Function(`${decoder};return binaryDecode('${text}')`)();
  if (!WebAssembly.validate(wasm as Uint8Array<ArrayBuffer>))
    throw new Error("scripts/pack-wasm.ts: what h5wasm's script holds is no WebAssembly");
  const without = `${script.slice(0, start)}function findWasmBinary(){return unpackedFile(packedWasm)}${script.slice(end + AFTER.length)}`;
  return { script: without, wasm };
}

/** For Bun.build. */
export const PACK_WASM: BunPlugin = {
  name: "pack WebAssembly",
  setup(build) {
    let hdf5: Uint8Array | undefined;
    build.onLoad({ filter: /h5wasm[\\/]dist[\\/]node[\\/]hdf5_util\.js$/ }, ({ path }) => {
      const { script, wasm } = takeWasm(readFileSync(path, "utf8"));
      hdf5 = wasm;
      const imports = [
        'import packedWasm from "packed:hdf5.wasm" with { type: "file" };',
        `import { unpackedFile } from ${JSON.stringify(join(ROOT, "src/base/packed.ts"))};`,
      ];
      return { contents: `${imports.join("")}${script}`, loader: "js" };
    });
    build.onResolve({ filter: /^packed:/ }, ({ path }) => ({
      path: path.slice("packed:".length),
      namespace: "packed",
    }));
    build.onLoad({ filter: /^hdf5\.wasm$/, namespace: "packed" }, () => ({ contents: pack(hdf5!), loader: "file" }));
    build.onLoad({ filter: /litert_wasm_internal\.wasm$/ }, ({ path }) => ({
      contents: pack(readFileSync(path)),
      loader: "file",
    }));
  },
};

function pack(bytes: Uint8Array): Uint8Array {
  return Bun.zstdCompressSync(bytes as Uint8Array<ArrayBuffer>, { level: LEVEL });
}
