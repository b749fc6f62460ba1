// What the bundler makes of the decoders' files: paths (inside the executable when compiled); and their glue, whose own types want a browser.
declare module "@jsquash/*.wasm" {
  const path: string;
  export default path;
}

type EmscriptenFactory = (settings: {
  noInitialRun: boolean;
  print(text: string): void;
  printErr(text: string): void;
  instantiateWasm(imports: WebAssembly.Imports, done: (instance: WebAssembly.Instance) => void): WebAssembly.Exports;
}) => Promise<{ decode(bytes: Uint8Array, ...more: unknown[]): ImageData | null }>;
