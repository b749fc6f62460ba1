/** Names that the parts of LiteRT's WebAssembly know each other by: scripts/wasm/split.ts writes them, litert-rest.ts puts parts together. */

/** The first part's export that both parts call each other through; its last place is for what loads the rest. */
export const TABLE = "split:table";
/** Where what the rest imports of the first part comes from. */
export const FIRST = "first";
/** What the loader imports and exports. */
export const LOADER = { module: "split", name: "load" } as const;
