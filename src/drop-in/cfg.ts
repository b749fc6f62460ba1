/**
 * Configuration files of ONE's drivers: sections of `key=value`, as Python's configparser reads them (with `#` and `;` for comments, also
 * behind values, and keys in their own case).
 *
 *     [one-quantize]
 *     input_path=model.circle
 *     granularity=channel      # a comment
 */
import { FileError, reasonOf } from "../base/errors.ts";
import { readText } from "../base/read-text.ts";

/** Values by section and key. Those of `[DEFAULT]` are in every section. Throws a FileError that names the line. */
export function parseCfg(path: string, text: string): Map<string, Map<string, string>> {
  const sections = new Map<string, Map<string, string>>();
  let section: Map<string, string> | undefined;
  let key: string | undefined;
  for (const [i, full] of text.split(/\r?\n/).entries()) {
    const line = full.replace(/(^|\s)[#;].*$/, "");
    const wrong = (what: string) => new FileError(path, `line ${i + 1}: ${what}`, { code: "unusable-cfg" });
    if (line.trim() === "") continue;
    const head = /^\[([^\]]+)\]\s*$/.exec(line);
    if (head) {
      if (sections.has(head[1]!)) throw wrong(`the section [${head[1]}] is there twice; keep one`);
      section = new Map();
      key = undefined;
      sections.set(head[1]!, section);
      continue;
    }
    if (/^\s/.test(line) && section && key !== undefined) {
      section.set(key, `${section.get(key)}\n${line.trim()}`);
      continue;
    }
    const pair = /^\s*([^=:\s][^=:]*?)\s*[=:]\s*(.*?)\s*$/.exec(line);
    if (!pair) throw wrong(`"${line.trim()}" is neither [section] nor key=value`);
    if (!section) throw wrong("stands before any [section]");
    key = pair[1]!;
    if (section.has(key)) throw wrong(`${key} is there twice; keep one`);
    section.set(key, pair[2]!);
  }
  const defaults = sections.get("DEFAULT");
  sections.delete("DEFAULT");
  for (const own of sections.values()) {
    for (const [name, value] of defaults ?? []) if (!own.has(name)) own.set(name, value);
    for (const [name, value] of own) own.set(name, interpolated(value, own));
  }
  return sections;
}

/** `%(key)s` is the value of another key, `%%` a percent sign. */
function interpolated(value: string, own: ReadonlyMap<string, string>, depth = 0): string {
  return value.replace(/%(?:%|\(([^)]+)\)s)/g, (whole, name?: string) => {
    if (name === undefined) return "%";
    const other = own.get(name);
    return other === undefined || depth > 10 ? whole : interpolated(other, own, depth + 1);
  });
}

/** A section of a file. Throws a FileError where there is no file or no such section. */
export function readSection(path: string, name: string): ReadonlyMap<string, string> {
  let text: string;
  try {
    text = readText(path);
  } catch (error) {
    throw new FileError(
      path,
      `cannot be read (${reasonOf(error)}); give a configuration file with a section [${name}]`,
      {
        cause: error,
      },
    );
  }
  const sections = parseCfg(path, text);
  const section = sections.get(name);
  if (section) return section;
  const others = [...sections.keys()].map((each) => `[${each}]`).join(", ") || "none";
  throw new FileError(path, `has no section [${name}] (it has ${others}); add one`, { code: "unusable-cfg" });
}
