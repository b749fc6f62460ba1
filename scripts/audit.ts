/**
 * `bun run audit`: asks the registry for known vulnerabilities of everything in bun.lock, those of build and test tools included.
 *
 *     0  asked, and none is known
 *     1  some are known: a line each
 *     3  the registry could not be asked. An audit that was not made is no pass, so a pipeline fails; it is told apart, so that one may try again
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";

interface Advisory {
  readonly url: string;
  readonly title: string;
  readonly severity: string;
  readonly vulnerable_versions: string;
}

/** Runs the audit; gives the exit code and its lines. */
export function audit(env: NodeJS.ProcessEnv = process.env): { code: 0 | 1 | 3; lines: string[] } {
  const { stdout, stderr } = spawnSync(process.execPath, ["audit", "--json"], {
    cwd: join(import.meta.dir, ".."),
    env,
    encoding: "utf8",
    timeout: 120_000,
  });
  const found = parsed(stdout);
  if (!found) {
    const why = stderr.trim().split("\n").at(-1) || "no answer";
    return { code: 3, lines: [`not audited: the registry could not be asked (${why})`] };
  }
  const lines = Object.entries(found).flatMap(([name, advisories]) =>
    advisories.map((each) => `${name} ${each.vulnerable_versions}: ${each.severity}: ${each.title} (${each.url})`),
  );
  return lines.length > 0 ? { code: 1, lines } : { code: 0, lines: ["no known vulnerabilities"] };
}

function parsed(text: string): Record<string, Advisory[]> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, Advisory[]>)
      : undefined;
  } catch {
    return undefined;
  }
}

if (import.meta.main) {
  const { code, lines } = audit();
  for (const line of lines) (code === 0 ? console.log : console.error)(line);
  process.exit(code);
}
