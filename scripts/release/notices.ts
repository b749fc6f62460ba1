/** THIRD-PARTY-NOTICES.txt: everything that the executable embeds, with the texts of the licences. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { BundledPackage } from "./bundle.ts";
import { COMPONENTS, textsOf } from "./components.ts";

const LICENSES = join(import.meta.dir, "../../licenses");
const RULE = "=".repeat(78);

/** Packages without a text of their own, and the file of licenses/ that has it. */
const WITHOUT_TEXT: Readonly<Record<string, string>> = { "@litertjs/core": "Apache-2.0" };

/** A text of licenses/. Throws where there is none. */
export function licenseText(name: string): string {
  return readFileSync(join(LICENSES, `${name}.txt`), "utf8").trim();
}

/** The whole file. Throws for a package without a licence, so that none is shipped without one. */
export function noticesText(packages: readonly BundledPackage[]): string {
  const used = new Set<string>();
  const components = COMPONENTS.map((row) => {
    for (const name of textsOf(row)) used.add(name);
    const within = row.within === "minmaxq" ? "" : ` (in ${row.within === "bun" ? "Bun" : row.within})`;
    return `${row.name}${within}\n  ${row.home}\n  Copyright (c) ${row.copyright}\n  ${row.license}`;
  });
  const own = packages.map((each) => {
    const fallback = WITHOUT_TEXT[each.name];
    if (each.texts.size === 0 && fallback === undefined)
      throw new Error(`${each.name}: has no licence text; add it to WITHOUT_TEXT in scripts/release/notices.ts`);
    const texts = each.texts.size === 0 ? [licenseText(fallback!)] : each.texts.values();
    return [
      RULE,
      `${each.name} ${each.version}: ${each.license}`,
      each.home,
      RULE,
      "",
      [...texts].join("\n\n"),
      "",
    ].join("\n");
  });
  const shared = [...used].sort().map((name) => [RULE, name, RULE, "", licenseText(name), ""].join("\n"));
  return [
    "minmaxq embeds the following software. minmaxq itself is under the Apache License 2.0 (LICENSE).",
    "",
    "1. The runtime and what WebAssembly modules are made of",
    "",
    ...components.flatMap((text) => [text, ""]),
    "JavaScriptCore, WebCore and TinyCC are under the GNU Lesser General Public License. Their source, and how to build",
    "Bun with a changed copy of them: https://github.com/oven-sh/bun (LICENSE.md). minmaxq's own source and build script",
    "put such a Bun into the executable: 'bun run build' with it.",
    "",
    "LiteRT's WebAssembly (in @litertjs/core) is changed: it is cut in two files that call each other through a table. The code of its",
    "functions is as it came.",
    "",
    "2. Packages, each with its licence",
    "",
    ...own,
    "3. Licences that part 1 names",
    "",
    ...shared,
  ].join("\n");
}
