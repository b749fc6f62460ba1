/**
 * LiteRT in two parts (scripts/wasm/split.ts): an instance of the first part, with the rest loaded when something of it is called. Most
 * models never do; reading the rest takes a tenth of a second.
 */

import loaderWasm from "../../build/litert-loader.wasm" with { type: "file" };
import restWasm from "../../build/litert-rest.wasm" with { type: "file" };
import { unpackedFile } from "../base/packed.ts";
import { FIRST, LOADER, TABLE } from "./litert-parts.ts";

/** An instance of `library`: of the first part, or of a module in one piece. */
export function instantiate(library: WebAssembly.Module, imports: WebAssembly.Imports): WebAssembly.Instance {
  const instance = new WebAssembly.Instance(library, imports);
  const table = instance.exports[TABLE];
  if (table instanceof WebAssembly.Table) {
    // Not compiled before: where another thread did, it would have to be sent to all.
    const load = () => void new WebAssembly.Instance(moduleOf(restWasm), { ...imports, [FIRST]: instance.exports });
    const loader = new WebAssembly.Instance(moduleOf(loaderWasm), { [LOADER.module]: { [LOADER.name]: load } });
    table.set(table.length - 1, loader.exports[LOADER.name] as () => void);
  }
  return instance;
}

function moduleOf(path: string): WebAssembly.Module {
  return new WebAssembly.Module(unpackedFile(path));
}
