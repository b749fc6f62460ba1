/** Links of the documentation lead somewhere, and every page of docs/ is found from the README. */
import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const root = join(import.meta.dir, "../..");
const pages = [
  "README.md",
  "ARCHITECTURE.md",
  ...readdirSync(join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];

/** A page without its code, whose brackets are no links. */
function proseOf(page: string): string {
  return readFileSync(join(root, page), "utf8")
    .replace(/^(```|~~~)[\s\S]*?^\1/gm, "")
    .split("\n")
    .filter((line) => !/^ {4}/.test(line))
    .join("\n")
    .replace(/`[^`\n]*`/g, (code) => (code.includes("](") ? "" : code));
}

/** What GitHub makes of headings: lower case, without punctuation, spaces as dashes; the second of a name gets -1. */
function anchorsOf(page: string): Set<string> {
  const counts = new Map<string, number>();
  const anchors = new Set<string>();
  for (const [, title] of proseOf(page).matchAll(/^#{1,6} +(.+?) *$/gm)) {
    const slug = title!
      .toLowerCase()
      .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-");
    const count = counts.get(slug) ?? 0;
    counts.set(slug, count + 1);
    anchors.add(count === 0 ? slug : `${slug}-${count}`);
  }
  return anchors;
}

/** Links inside the project: page and anchor. */
function linksOf(page: string): { text: string; to: string; anchor: string | undefined }[] {
  return [...proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, text]) => text!)
    .filter((text) => !/^[a-z]+:/.test(text))
    .map((text) => {
      const [path, anchor] = text.split("#");
      const to = path === "" ? page : relative(root, join(root, dirname(page), path!));
      return { text, to, anchor };
    });
}

test.each(pages)("links of %s", (page) => {
  const broken = linksOf(page).filter(
    ({ to, anchor }) =>
      !existsSync(join(root, to)) || (anchor !== undefined && to.endsWith(".md") && !anchorsOf(to).has(anchor)),
  );
  expect(broken.map(({ text }) => text)).toEqual([]);
});

test("every page of docs/ is linked in the README", () => {
  const linked = new Set(linksOf("README.md").map(({ to }) => to));
  expect(pages.filter((page) => page.startsWith("docs/") && !linked.has(page))).toEqual([]);
});

test("headings become anchors as on GitHub", () => {
  expect(anchorsOf("docs/reference.md").has("59-one-quantize")).toBe(true);
  expect(anchorsOf("docs/tutorial.md").has("9-the-same-for-onert")).toBe(true);
});
