/** Man pages and completions, for releases; alone: `bun run scripts/write-manual.ts [dist/manual]` writes them into a folder. */
import { join } from "node:path";
import { describeAll } from "../src/cli/describe.ts";
import { FILES, SHELLS } from "../src/manual/completions.ts";
import { allPages } from "../src/manual/man.ts";

/** Texts by path: man/NAME.1 and completions/NAME. */
export async function manualTexts(): Promise<ReadonlyMap<string, string>> {
  const described = await describeAll();
  const texts = new Map<string, string>();
  for (const [name, text] of allPages(described)) texts.set(join("man", name), text);
  for (const shell of Object.keys(SHELLS) as (keyof typeof SHELLS)[])
    texts.set(join("completions", FILES[shell](described.program)), SHELLS[shell](described));
  return new Map([...texts].map(([name, text]) => [name, `${text.trimEnd()}\n`]));
}

if (import.meta.main) {
  const out = process.argv[2] ?? "dist/manual";
  const texts = await manualTexts();
  for (const [name, text] of texts) await Bun.write(join(out, name), text);
  console.log(`${out}: ${texts.size} files`);
}
