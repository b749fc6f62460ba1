/** Writes man pages and completions into a folder, for releases: `bun run scripts/write-manual.ts [dist/manual]`. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describeAll } from "../src/cli/describe.ts";
import { FILES, SHELLS } from "../src/manual/completions.ts";
import { allPages } from "../src/manual/man.ts";

const out = process.argv[2] ?? "dist/manual";
const described = await describeAll();
const files = new Map<string, string>();
for (const [name, text] of allPages(described)) files.set(join("man", name), text);
for (const shell of Object.keys(SHELLS) as (keyof typeof SHELLS)[])
  files.set(join("completions", FILES[shell](described.program)), SHELLS[shell](described));

for (const folder of ["man", "completions"]) mkdirSync(join(out, folder), { recursive: true });
for (const [name, text] of files) await Bun.write(join(out, name), `${text.trimEnd()}\n`);
console.log(`${out}: ${files.size} files`);
