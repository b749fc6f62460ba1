/** Addresses of the queue: what is read from them, and that nobody is told what is secret in them. */
import { afterEach, describe, expect, test } from "bun:test";
import { keepSecret, withoutSecrets } from "../../src/base/errors.ts";
import { addressOf } from "../../src/batch/redis.ts";

const NAMES = ["MINMAXQ_QUEUE_URL", "MINMAXQ_QUEUE_USER", "MINMAXQ_QUEUE_PASSWORD", "MINMAXQ_QUEUE_CA"];
afterEach(() => {
  for (const name of NAMES) delete process.env[name];
});

describe("addresses", () => {
  test.each([
    ["redis://h", "redis://h:6379", { host: "h", port: 6379, db: 0 }],
    ["redis://h:1/7", "redis://h:1/7", { host: "h", port: 1, db: 7 }],
    ["redis://u:p%40ss@h", "redis://h:6379", { host: "h", port: 6379, db: 0, username: "u", password: "p@ss" }],
    ["redis://:pass@h/", "redis://h:6379", { host: "h", port: 6379, db: 0, password: "pass" }],
    ["rediss://h", "rediss://h:6379", { host: "h", port: 6379, db: 0, tls: { servername: "h" } }],
    ["rediss://[::1]:2", "rediss://[::1]:2", { host: "::1", port: 2, db: 0, tls: {} }],
  ])("%s", (url, shown, options) => {
    expect(addressOf(url)).toEqual({ shown, options } as never);
    process.env.MINMAXQ_QUEUE_URL = url;
    expect(addressOf("env")).toEqual({ shown, options } as never);
  });

  test("the environment adds credentials; those of the address win", () => {
    process.env.MINMAXQ_QUEUE_USER = "user";
    process.env.MINMAXQ_QUEUE_PASSWORD = "word";
    expect(addressOf("redis://h").options).toMatchObject({ username: "user", password: "word" });
    expect(addressOf("redis://me:mine@h").options).toMatchObject({ username: "me", password: "mine" });
  });

  test.each(["", "h:6379", "http://me:secret@h", "redis://", "redis://me:secret@h/x", "/jobs.json", "me:secret@h"])(
    '"%s" is none, and is not repeated',
    (url) => {
      process.env.MINMAXQ_QUEUE_URL = url;
      const refusal = () => addressOf("env");
      expect(refusal).toThrow(/MINMAXQ_QUEUE_URL/);
      expect(refusal).not.toThrow(/secret/);
    },
  );
});

describe("what is printed", () => {
  test.each([
    ["redis://me:secret@h:1/2 is away", "redis://***@h:1/2 is away"],
    ["rediss://:se@cr:et@h", "rediss://***@h"],
    ["REDIS://secret@h and redis://h2", "REDIS://***@h and redis://h2"],
    ["connect ECONNREFUSED 127.0.0.1:6379", "connect ECONNREFUSED 127.0.0.1:6379"],
    ['{"url":"redis://a:b@h","at":"x@y"}', '{"url":"redis://***@h","at":"x@y"}'],
  ])("%s", (text, clean) => {
    expect(withoutSecrets(text)).toBe(clean);
  });

  test("a password in use is nowhere", () => {
    keepSecret("correct horse");
    expect(withoutSecrets("AUTH correct horse")).toBe("AUTH ***");
  });
});
