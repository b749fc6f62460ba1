/** What people see at the end: it fits 80 columns, and nothing of it is cut away. */
import { describe, expect, test } from "bun:test";
import { paragraph } from "../../src/batch/columns.ts";
import type { Outcome } from "../../src/batch/outcome.ts";
import { failureLines, failuresIn, type Row, table } from "../../src/batch/table.ts";
import { allShortened } from "../../src/terminal/table.ts";

const PLAIN = { bold: String, dim: String, red: String, yellow: String, green: String, cyan: String };
const LONG = "a/folder/whose/name/is/long/with_a_model_whose_name_is_much_longer_than_what_fits";
const REASON =
  'needs "Identity_1" of the second subgraph, which no sample shows; give samples that take that branch, or leave --strict out, or the model will not be quantized';

const done = (more: Partial<Outcome & { status: "done" }> = {}): Outcome => ({
  status: "done",
  seconds: 1234.5,
  bytes: [999_000_000, 123_000_000],
  sha256: "",
  summary: [],
  warnings: [],
  ...more,
});
const accuracy = (sqnr: number | "equal" | "none") => ({ output: "y", sqnr, samples: 2, ran: "as it is", broken: [] });
const failed = (reason: string, group?: string): Outcome => ({ status: "failed", seconds: 0.1, reason, group });
const notes = [...Array(12)].map(() => ({ kind: "float" as const, code: "no-rule", text: "" }));

const ROWS: Row[] = [
  { shown: `${LONG}_first.tflite`, outcome: done({ accuracy: accuracy(34.21), warnings: ["w", "w"] }) },
  { shown: `${LONG}_second.tflite`, outcome: done({ accuracy: accuracy("equal"), notes }) },
  { shown: "b.tflite", outcome: failed(REASON) },
  { shown: `${LONG}.circle`, outcome: failed(REASON) },
  { shown: "c.tflite", outcome: failed('output "y": sqnr 3 dB is below the limit 20 dB', "an output breaks sqnr=20") },
  { shown: "d.tflite", outcome: failed('output "z": sqnr 4 dB is below the limit 20 dB', "an output breaks sqnr=20") },
  { shown: "e.tflite", outcome: { status: "stopped", seconds: 0, reason: "" } },
  { shown: "模型".repeat(40), outcome: done({ status: "skipped" } as never) },
];

describe("the table", () => {
  test.each([80, 60, 120])("fits %d columns", (width) => {
    const lines = table(ROWS, PLAIN, width);
    expect(lines.filter((line) => Bun.stringWidth(line) > width)).toEqual([]);
    // A line a job, one for the heading, one below for each remark that does not fit.
    expect(lines.filter((line) => !line.startsWith("    ")).length).toBe(ROWS.length + 1);
    expect(lines.join("\n")).toContain("2 warnings");
    expect(lines.join("\n")).toContain("12 parts stay float");
    const models = lines.slice(1).flatMap((line) => /^\S+/.exec(line) ?? []);
    expect(new Set(models).size).toBe(ROWS.length);
  });

  test("without a width names are whole, and a job is a line", () => {
    const lines = table(ROWS, PLAIN);
    expect(lines.length).toBe(ROWS.length + 1);
    for (const [i, { shown }] of ROWS.entries()) expect(lines[i + 1]).toStartWith(shown);
  });

  test("has a column of SQNR where one job asked for it", () => {
    const [head, first, second, third] = table(ROWS, PLAIN).map((line) => line.replace(/ +/g, " "));
    expect(head).toEndWith(" SQNR dB");
    expect(first).toEndWith(" 34.2 2 warnings");
    expect(second).toEndWith(" equal 12 parts stay float");
    expect(third).toBe("b.tflite failed 0.1");
    const plain = [{ shown: "a", outcome: done() }];
    expect(table(plain, PLAIN)[0]).toBe("model  status  size             seconds");
    expect(table([...plain, ROWS[0]!], PLAIN)[1]).toEndWith(" –");
  });
});

describe("failures", () => {
  test("each reason once and whole, its models below, the most frequent first", () => {
    const lines = failureLines(failuresIn(ROWS), PLAIN, 80);
    expect(lines.filter((line) => line.length > 80 && !line.startsWith(`  ${LONG}`))).toEqual([]);
    const text = lines.join("\n");
    expect(lines.join(" ").replace(/\s+/g, " ").split(REASON).length).toBe(2);
    expect(text.replace(/\n(?! {2})(?=.)/g, " ")).toContain(`failed (2 jobs): ${REASON}\n  b.tflite\n  ${LONG}.circle`);
    expect(text).toEndWith(
      [
        "failed (2 jobs): an output breaks sqnr=20",
        '  c.tflite: output "y": sqnr 3 dB is below the limit 20 dB',
        '  d.tflite: output "z": sqnr 4 dB is below the limit 20 dB',
      ].join("\n"),
    );
  });

  test("long names of tensors lose their middle on a terminal alone", () => {
    const name = "model_1/model/batch_normalization/".repeat(4);
    const rows = failuresIn([{ shown: "a.tflite", outcome: failed(`CONV_2D "${name}": has no range`) }]);
    expect(failureLines(rows, PLAIN, 80).filter((line) => line.length > 80)).toEqual([]);
    expect(failureLines(rows, PLAIN).join(" ")).toContain(`"${name}"`);
  });
});

describe("text", () => {
  test("is wrapped at spaces, and nothing is lost", () => {
    const lines = paragraph(REASON, 30);
    expect(lines.join(" ")).toBe(REASON);
    expect(lines.filter((line) => line.length > 30)).toEqual([]);
    expect(paragraph("a word-that-is-too-long b", 10)).toEqual(["a", "word-that-is-too-long", "b"]);
  });

  test("names that shortening would make alike stay different", () => {
    expect(allShortened(["aaaa1bbbbccccdddd", "aaaa2bbbbccccdddd"], 9)).not.toContain("aa…ccdddd");
    const names = allShortened(["folder/x1_middle_of_a_name.tflite", "folder/x2_middle_of_a_name.tflite"], 20);
    expect(new Set(names).size).toBe(2);
    expect(allShortened(["aaaaaaaaaa1bbbbbbbbbb", "aaaaaaaaaa2bbbbbbbbbb"], 9)).toEqual([
      "aaaaaaaaaa1bbbbbbbbbb",
      "aaaaaaaaaa2bbbbbbbbbb",
    ]);
  });
});
