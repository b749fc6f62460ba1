// What the bundler makes of LiteRT's files: paths (inside the executable when compiled). The glue scripts are read when they are
// needed: as text they would be part of what every start parses.
declare module "@litertjs/core/wasm/*.wasm" {
  const path: string;
  export default path;
}

declare module "@litertjs/core/wasm/*.js" {
  const path: string;
  export default path;
}
