// What the bundler makes of LiteRT's files: the glue scripts as text, the WASM as a path (inside the executable when compiled).
declare module "@litertjs/core/wasm/*.wasm" {
  const path: string;
  export default path;
}

declare module "@litertjs/core/wasm/*.js" {
  const text: string;
  export default text;
}
