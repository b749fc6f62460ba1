/**
 * Starts executables of other platforms on Linux x64. What that takes is not the project's: `scripts/release/fetch-loaders.sh` gets it, of Debian's packages and
 * one of PyPI's, into build/loaders. Where it is missing, `startOf` says what.
 */
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ReleaseTarget } from "./targets.ts";

const LOADERS = join(import.meta.dir, "../../build/loaders");

export interface Start {
  /** Words before those of the program. */
  readonly words: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** How an executable is started here; a text says what is missing, or that it cannot be. */
export function startOf({ starter, machine, loader }: ReleaseTarget, executable: string): Start | string {
  if (process.platform !== "linux" || process.arch !== "x64")
    return "executables of other platforms are started on Linux x64 alone";
  const isMusl = loader?.includes("musl") === true;
  const root = join(LOADERS, isMusl ? `musl-${machine}` : `glibc-${machine}`);
  switch (starter) {
    case "itself":
      return { words: [executable] };
    case "musl": {
      if (!existsSync(join(root, loader!))) return MISSING;
      // musl's loader looks in no folder of ours by itself; the list that it reads otherwise is for the whole machine.
      return { words: [join(root, loader!), "--library-path", join(root, "usr/lib"), executable] };
    }
    case "qemu": {
      const qemu = Bun.which("qemu-aarch64");
      const libraries = isMusl ? root : "/usr/aarch64-linux-gnu";
      if (qemu === null || !existsSync(join(libraries, isMusl ? loader! : "lib/ld-linux-aarch64.so.1"))) return MISSING;
      return { words: [qemu, "-L", libraries, executable] };
    }
    case "wine": {
      const wine = Bun.which("wine-stable") ?? Bun.which("wine");
      if (wine === null || !existsSync(join(LOADERS, "wine/bcryptprimitives.dll")))
        return "Wine is not here (scripts/release/fetch-loaders.sh wine)";
      // Not below our folder: Wine puts links to the whole disk there, which linters follow.
      const env = { WINEPREFIX: join(tmpdir(), "minmaxq-wine"), WINEDEBUG: "-all", WINEPATH: join(LOADERS, "wine") };
      return { words: [wine, executable], env };
    }
    case "never":
      return "nothing here starts macOS's programs";
  }
}

const MISSING = "its loader is not here (scripts/release/fetch-loaders.sh gets it)";
