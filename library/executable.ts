/** Which executable is this machine's: a package beside ours has it, and npm installs the one that fits. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";

/** Set, it names another executable. */
const OVERRIDE = "MINMAXQ_EXECUTABLE";

/** The executable's path. Throws an Error that says what to do where there is none. */
export function executablePath(): string {
  const given = process.env[OVERRIDE];
  if (given !== undefined && given !== "") {
    if (!existsSync(given))
      throw new Error(`${OVERRIDE}: ${given} is not there; give the path of minmaxq's executable`);
    return given;
  }
  const require = createRequire(import.meta.url);
  const names = packageNames();
  for (const name of names) {
    try {
      return require.resolve(`${name}/${process.platform === "win32" ? "minmaxq.exe" : "minmaxq"}`);
    } catch {
      // Then perhaps the next one.
    }
  }
  throw new Error(
    `minmaxq: ${names.join(" or ")} is not installed; install minmaxq again without --omit=optional (or --no-optional), or name an executable in ${OVERRIDE}`,
  );
}

/** The likely one first: where npm does not know the C library, both are installed. */
function packageNames(): string[] {
  const name = `@minmaxq/${process.platform}-${process.arch}`;
  if (process.platform !== "linux") return [name];
  return hasMusl() ? [`${name}-musl`, name] : [name, `${name}-musl`];
}

function hasMusl(): boolean {
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  const glibc = process.arch === "arm64" ? "/lib/ld-linux-aarch64.so.1" : "/lib64/ld-linux-x86-64.so.2";
  return existsSync(`/lib/ld-musl-${machine}.so.1`) && !existsSync(glibc);
}
