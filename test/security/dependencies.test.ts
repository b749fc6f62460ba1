/** Dependencies: each direct one has a reason and one version; and the audit says what it found, or that it could not ask. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import pkg from "../../package.json" with { type: "json" };

const top = join(import.meta.dir, "../..");

/** Packages in the first column of the table of dependencies. */
function withReasons(): Set<string> {
  const page = readFileSync(join(top, "ARCHITECTURE.md"), "utf8");
  const table = page.slice(page.indexOf("## Dependencies"));
  const rows = table.matchAll(/^\| (`.*?) \| (.+?) \| (.+?) \|$/gm);
  return new Set(
    [...rows].flatMap(([, names, what, why]) =>
      what!.trim() && why!.trim() ? [...names!.matchAll(/`([^`]+)`/g)].map((match) => match[1]!) : [],
    ),
  );
}

test("every direct dependency has a line in ARCHITECTURE.md, and none is there that is not used", () => {
  // Types of a package are explained by the package.
  const direct = Object.keys({ ...pkg.dependencies, ...pkg.devDependencies }).filter(
    (name) => !name.startsWith("@types/"),
  );
  const explained = withReasons();
  expect(direct.filter((name) => !explained.has(name))).toEqual([]);
  expect([...explained].filter((name) => !direct.includes(name))).toEqual([]);
});

test("every direct dependency is pinned to one version, and the lockfile has a hash of every package", () => {
  const versions = Object.entries({ ...pkg.dependencies, ...pkg.devDependencies });
  expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
  const lock = readFileSync(join(top, "bun.lock"), "utf8");
  const packages = [...lock.matchAll(/^ {4}"[^"]+": \[.*\],?$/gm)].map(([line]) => line);
  expect(packages.length).toBeGreaterThan(50);
  expect(packages.filter((line) => !/"sha512-[\w+/=]+"\],?$/.test(line))).toEqual([]);
});

/** Runs the script against a registry that answers as it is told. */
async function auditBy(answer: () => Response): Promise<{ code: number | null; said: string; asked: string[] }> {
  const asked: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const bytes = new Uint8Array(await request.arrayBuffer());
      const body = request.headers.get("content-encoding") === "gzip" ? Bun.gunzipSync(bytes) : bytes;
      asked.push(...Object.keys(JSON.parse(new TextDecoder().decode(body))));
      return answer();
    },
  });
  const registry = `http://127.0.0.1:${server.port}/`;
  const env = {
    ...process.env,
    NPM_CONFIG_REGISTRY: registry,
    npm_config_registry: registry,
    BUN_CONFIG_REGISTRY: registry,
  };
  try {
    const child = Bun.spawn([process.execPath, "run", join(top, "scripts/audit.ts")], {
      env,
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    return { code: await child.exited, said: out + err, asked };
  } finally {
    await server.stop(true);
  }
}

test("the audit: none known, some known, and a registry that cannot be asked", async () => {
  const none = await auditBy(() => Response.json({}));
  expect([none.code, none.said]).toEqual([0, "no known vulnerabilities\n"]);
  // All that is shipped and all that builds it was asked for.
  for (const name of Object.keys({ ...pkg.dependencies, ...pkg.devDependencies })) expect(none.asked).toContain(name);
  const advisory = {
    id: 1,
    url: "https://advisories.invalid/1",
    title: "made up",
    severity: "low",
    vulnerable_versions: "<99",
  };
  const some = await auditBy(() => Response.json({ fflate: [advisory] }));
  expect([some.code, some.said]).toEqual([1, "fflate <99: low: made up (https://advisories.invalid/1)\n"]);
  for (const answer of [() => new Response("no", { status: 405 }), () => new Response("<html>")]) {
    const unasked = await auditBy(answer);
    expect([unasked.code, unasked.said]).toEqual([
      3,
      expect.stringContaining("not audited: the registry could not be asked"),
    ]);
  }
}, 60_000);
