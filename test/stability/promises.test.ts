/** Nothing that a release promised is gone: test/stability/promised.txt, recorded by scripts/promises.ts. What is new may come. */
import { expect, test } from "bun:test";
import { z } from "zod";
import { broken, codes, inputLines, outputLines, promised, promises } from "../../scripts/promises.ts";

test("every recorded promise holds", async () => {
  const record = promised();
  expect(record.length).toBeGreaterThan(1000);
  // A line here is a break: bring it back, or record a new major version with --break.
  expect(broken(record, await promises())).toEqual([]);
});

const json = (schema: z.ZodType) => z.toJSONSchema(schema, { io: "input" });
const before = z.object({ a: z.string(), b: z.enum(["x", "y"]).optional(), c: z.array(z.object({ d: z.int() })) });
const kept = (after: z.ZodType, lines = outputLines) => broken(lines("m", json(before)), lines("m", json(after)));

test("of what is written: members and words may be added; a member that is gone, renamed, of another type or only sometimes there is found", () => {
  const { shape } = before;
  expect(kept(before.extend({ e: z.number(), b: z.enum(["x", "y", "z"]).optional() }))).toEqual([]);
  expect(kept(before.extend({ b: z.enum(["x", "y"]) }))).toEqual([]);
  expect(kept(before.omit({ a: true }))).toEqual(["output m a: string", "output m a: always"]);
  expect(kept(before.extend({ a: z.string().optional() }))).toEqual(["output m a: always"]);
  expect(kept(before.extend({ a: z.string().nullable() }))).toEqual(["output m a: string"]);
  expect(kept(before.extend({ b: z.enum(["x"]).optional() }))).toEqual(['output m b: may be "y"']);
  expect(kept(z.object({ ...shape, c: z.array(z.object({ renamed: z.int() })) }))).toEqual([
    "output m c[].d: integer",
    "output m c[].d: always",
  ]);
});

test("of what people write: what was taken is taken, and nothing more is demanded", () => {
  const { shape } = before;
  expect(kept(before.extend({ e: z.number().optional(), a: z.union([z.string(), z.int()]) }), inputLines)).toEqual([]);
  expect(kept(before.extend({ e: z.number() }), inputLines)).toEqual(["input m : demands a, c"]);
  expect(kept(before.omit({ b: true }), inputLines)).toEqual([
    "input m b: takes string",
    'input m b: takes "x"',
    'input m b: takes "y"',
  ]);
  expect(kept(z.object({ ...shape, c: z.array(z.object({ d: z.string() })) }), inputLines)).toEqual([
    "input m c[].d: takes integer",
  ]);
});

test("codes are found wherever they stand", () => {
  const text = `
    throw new FileError(path, "is bad", { code: "bad-file" });
    constructor(message, { subject, code = "failed" }) {}
    warn(this.space.context, node, "wide-range", text);
    warn(
      context,
      node,
      "few-levels",
    );
export type WhyCode =
  | "no-rule"
  /** "not-this": said. */
  | "custom";
  `;
  expect(codes([text]).sort()).toEqual(
    ["bad-file", "custom", "failed", "few-levels", "no-rule", "wide-range"].map((code) => `code ${code}`),
  );
});
