/** `minmaxq doctor`: all right where all is right, exit code 1 and what to do where something would fail. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import pkg from "../../package.json" with { type: "json" };
import { REDIS, startRedis, WITHOUT_REDIS } from "../batch/redis.ts";
import { cleanUpAfterwards, files, folder, minmaxq, succeeded } from "./support.ts";

cleanUpAfterwards();

const cwd = folder();
interface Found {
  name: string;
  state: string;
  text: string;
  remedy?: string;
}

/** The checks that are not all right, as JSON. */
async function notOk(env: Record<string, string>) {
  const { code, out, err } = await minmaxq(["doctor", "--json"], { cwd, env });
  const { ok, checks } = JSON.parse(out) as { ok: boolean; checks: Found[] };
  expect(ok).toBe(code === 0);
  return { code, err, found: checks.filter(({ state }) => state !== "ok") };
}

test("a machine that runs these tests is fit; nothing is left behind", async () => {
  const place = folder();
  const { out } = await succeeded(["doctor"], { cwd, env: { TMPDIR: place } });
  expect(out).toContain(`ok       version: minmaxq ${pkg.version}`);
  expect(out).toContain(`ok       platform: ${process.platform} ${process.arch}`);
  expect(out).toContain(`ok       cores: ${navigator.hardwareConcurrency}`);
  expect(out).toContain("ok       LiteRT: loads and runs a model of one operator");
  expect(out).toContain("MINMAXQ_QUEUE_URL is not set");
  expect(files(place)).toEqual([]);
  const { reportVersion, version, ok } = JSON.parse((await succeeded(["doctor", "--json"], { cwd })).out);
  expect({ reportVersion, version, ok }).toEqual({ reportVersion: 1, version: pkg.version, ok: true });
});

test("no place for temporary files", async () => {
  const { code, err, found } = await notOk({ TMPDIR: join(cwd, "nosuch") });
  expect(code).toBe(1);
  expect(err).toBe("minmaxq: 2 checks failed: temporary files, LiteRT\n");
  expect(found.map(({ name, state }) => [name, state])).toEqual([
    ["temporary files", "failed"],
    ["LiteRT", "failed"],
  ]);
  expect(found[0]!.remedy).toContain("TMPDIR");
});

test("a number of threads that is none is a warning", async () => {
  const { code, found } = await notOk({ MINMAXQ_THREADS: "many" });
  expect(code).toBe(0);
  expect(found).toEqual([
    {
      name: "cores",
      state: "warning",
      text: expect.stringContaining('"many"'),
      remedy: expect.stringContaining("unset"),
    },
  ] as never);
});

describe("the queue", () => {
  test("no server", async () => {
    const { code, err, found } = await notOk({ MINMAXQ_QUEUE_URL: "redis://:secret@127.0.0.1:1" });
    expect(code).toBe(1);
    expect(err).toBe("minmaxq: 1 check failed: queue\n");
    expect(JSON.stringify(found)).toContain("no connection");
    expect(JSON.stringify(found)).not.toContain("secret");
  });

  test.skipIf(!REDIS)(`a server${WITHOUT_REDIS}`, async () => {
    const server = await startRedis();
    try {
      const { out } = await succeeded(["doctor"], { cwd, env: { MINMAXQ_QUEUE_URL: server.url } });
      expect(out).toContain(`ok       queue: ${server.url} answers`);
    } finally {
      await server.stop();
    }
  });
});

test("a terminal whose encoding is not UTF-8", async () => {
  const chunks: string[] = [];
  const decoder = new TextDecoder();
  const { executable } = await import("./support.ts");
  const child = Bun.spawn([executable(), "doctor"], {
    cwd,
    env: { PATH: "/usr/bin:/bin", TERM: "xterm", LC_ALL: "C" },
    terminal: { cols: 72, rows: 24, data: (_, bytes) => void chunks.push(decoder.decode(bytes, { stream: true })) },
  });
  expect(await child.exited).toBe(0);
  child.terminal?.close();
  const seen = chunks.join("");
  expect(seen).toContain("72 columns");
  expect(seen).toContain("not UTF-8 (C)");
  expect(seen).toContain("set LANG=C.UTF-8");
});
