/**
 * Files that metadata give to inputs and outputs. Metadata are built with the flatbuffers package, slot by slot of metadata_schema.fbs, archives
 * with fflate's zip: neither is code of ours.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zipSync } from "fflate";
import { Builder } from "flatbuffers";
import { quantize } from "../../src/driver/quantize.ts";
import { inspectReport } from "../../src/inspect/facts.ts";
import { associatedFiles, fileProblems } from "../../src/model/associated-files.ts";
import { rangeOf } from "../../src/model/bytes.ts";
import { openModel, serializeModel } from "../../src/model/index.ts";
import { SCHEMES } from "../../src/rules/schemes.ts";
import { coloursFor } from "../../src/terminal/streams.ts";
import { summaryLines } from "../../src/views/inspect.ts";
import { model } from "../helpers/models.ts";

const folder = mkdtempSync(join(tmpdir(), "minmaxq-files-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Named {
  readonly name: string;
  /** AssociatedFileType. */
  readonly type: number;
  readonly locale?: string;
}
interface Tokenizer {
  /** ProcessUnitOptions' tag, and the slot of its vocabulary. */
  readonly tag: number;
  readonly slot: number;
  readonly file: Named;
}

/** Metadata of one input and two outputs. */
function metadata(input: readonly Named[], outputs: readonly (readonly Named[])[], tokenizer?: Tokenizer): Uint8Array {
  const b = new Builder();
  const vector = (tables: readonly number[]) => {
    b.startVector(4, tables.length, 4);
    for (const table of tables.toReversed()) b.addOffset(table);
    return b.endVector();
  };
  const file = ({ name, type, locale }: Named) => {
    const texts = [b.createString(name), locale === undefined ? 0 : b.createString(locale)] as const;
    b.startObject(5);
    b.addFieldOffset(0, texts[0], 0);
    b.addFieldInt8(2, type, 0);
    if (locale !== undefined) b.addFieldOffset(3, texts[1], 0);
    return b.endObject();
  };
  const object = (slots: number, fields: readonly (readonly [slot: number, at: number])[], tag?: number) => {
    b.startObject(slots);
    for (const [slot, at] of fields) b.addFieldOffset(slot, at, 0);
    if (tag !== undefined) b.addFieldInt8(0, tag, 0);
    return b.endObject();
  };
  const tensor = (files: readonly Named[], unit?: Tokenizer) => {
    const fields: [number, number][] = [];
    if (files.length > 0) fields.push([6, vector(files.map(file))]);
    if (unit) {
      const options = object(3, [[unit.slot, vector([file(unit.file)])]]);
      fields.push([4, vector([object(2, [[1, options]], unit.tag)])]);
    }
    return object(7, fields);
  };
  const inputs = vector([tensor(input, tokenizer)]);
  const results = vector(outputs.map((files) => tensor(files)));
  const subgraph = object(10, [
    [2, inputs],
    [3, results],
  ]);
  b.finish(object(8, [[3, vector([subgraph])]]), "M001");
  return b.asUint8Array().slice();
}

const lines = (count: number, end = "\n") => Array.from({ length: count }, (_, i) => `class ${i}`).join("\n") + end;
const bytes = (text: string) => new TextEncoder().encode(text);

/** x → scores [1, 4] and boxes [1, 4, 2] with that metadata and those files behind it. */
async function written(name: string, said: Uint8Array, files: Record<string, string>, packed = true): Promise<string> {
  const built = model(["x"], ["scores", "boxes"], (graph) =>
    graph
      .tensor("x", [1, 8])
      .constant(
        "w",
        [4, 8],
        Float32Array.from({ length: 32 }, (_, i) => (i % 5) - 2),
      )
      .constant("b", [4], new Float32Array(4))
      .constant("shape", [3], Int32Array.of(1, 4, 2))
      .tensor("scores", [1, 4])
      .tensor("boxes", [1, 4, 2])
      .operator("FULLY_CONNECTED", ["x", "w", "b"], ["scores"], { type: "FullyConnectedOptions", value: {} })
      .operator("RESHAPE", ["x", "shape"], ["boxes"]),
  );
  const buffers = [...built.buffers!, { data: rangeOf(said) }];
  const table = { name: "TFLITE_METADATA", buffer: buffers.length - 1 };
  const file = await serializeModel({ ...built, version: 3, buffers, metadata: [table] }, { dialect: "tflite" });
  const contents = Object.fromEntries(Object.entries(files).map(([each, text]) => [each, bytes(text)]));
  const zip = Object.keys(files).length > 0 ? zipSync(contents, { level: packed ? 6 : 0 }) : new Uint8Array();
  const path = join(folder, `${name}.tflite`);
  await Bun.write(path, Buffer.concat([file, zip]));
  return path;
}

/** What is found in a file. */
function found(path: string) {
  const opened = openModel(path);
  const files = associatedFiles(opened);
  const result = { files, problems: fileProblems(opened, files), report: inspectReport(path, opened) };
  opened.close();
  return result;
}

const LABELS: Named = { name: "labels.txt", type: 2 };

describe("files of outputs and inputs", () => {
  for (const packed of [true, false])
    test(`labels: count, the first, language; ${packed ? "deflated" : "stored"}`, async () => {
      const german = { name: "labels_de.txt", type: 2, locale: "de" };
      const path = await written(
        `labels-${packed}`,
        metadata([], [[LABELS, german], []]),
        { "labels.txt": lines(4), "labels_de.txt": `${"Hund\r\nKatze\r\nMaus\r\nPferd"}\r\n` },
        packed,
      );
      const { files, problems, report } = found(path);
      expect(files).toEqual([
        {
          subgraph: 0,
          what: "output",
          tensor: report.subgraphs[0]!.outputs[0]!,
          files: [
            {
              name: "labels.txt",
              type: "axis labels",
              present: true,
              lines: { count: 4, first: ["class 0", "class 1", "class 2", "class 3"] },
            },
            {
              name: "labels_de.txt",
              type: "axis labels",
              locale: "de",
              present: true,
              lines: { count: 4, first: ["Hund", "Katze", "Maus", "Pferd"] },
            },
          ],
        },
      ]);
      expect(problems).toEqual([]);
      expect(report.associatedFiles).toEqual(files);
      expect(report.warnings).toEqual([]);
    });

  test("labels of values need no dimension of their size; only the first are told", async () => {
    const path = await written("values", metadata([], [[], [{ name: "classes.txt", type: 3 }]]), {
      "classes.txt": lines(90, ""),
    });
    const { files, problems, report } = found(path);
    expect(files[0]!.files[0]!.lines).toEqual({
      count: 90,
      first: ["class 0", "class 1", "class 2", "class 3", "class 4"],
    });
    expect(problems).toEqual([]);
    const shown = summaryLines(report, { colours: coloursFor(1), width: undefined }).join("\n");
    expect(shown).toContain(
      'output "boxes": classes.txt (value labels), 90: class 0, class 1, class 2, class 3, class 4, …',
    );
  });

  // BertTokenizerOptions and RegexTokenizerOptions: tags and slots of metadata_schema.fbs.
  for (const [kind, tag, slot] of [
    ["Bert", 4, 0],
    ["sentence piece", 5, 1],
    ["regex", 6, 1],
  ] as const)
    test(`the vocabulary of an input's ${kind} tokenizer`, async () => {
      const file = { name: "vocab.txt", type: 5 };
      const path = await written(`vocabulary-${tag}`, metadata([], [[], []], { tag, slot, file }), {
        "vocab.txt": "a\nb\n",
      });
      const { files, problems } = found(path);
      expect(files.map(({ what, files: own }) => [what, own[0]!.type, own[0]!.lines])).toEqual([
        ["input", "vocabulary", { count: 2, first: ["a", "b"] }],
      ]);
      expect(problems).toEqual([]);
    });
});

describe("what is wrong with them", () => {
  test("a count that no dimension has; a file that is not there", async () => {
    const path = await written("wrong", metadata([], [[LABELS], [{ name: "gone.txt", type: 3 }]]), {
      "labels.txt": lines(5),
    });
    const { problems, report } = found(path);
    expect(problems.map(({ code, numbers }) => [code, numbers])).toEqual([
      ["labels-contradict-output", { labels: 5 }],
      ["associated-file-missing", {}],
    ]);
    expect(problems[0]!.text).toMatch(/^"labels\.txt" has 5 labels, and no dimension of \[1, 4\] has that size; /);
    expect(report.warnings).toEqual(problems);
    const shown = summaryLines(report, { colours: coloursFor(1), width: undefined }).join("\n");
    expect(shown).toContain('warning: "scores": "labels.txt" has 5 labels');
    expect(shown).toContain("gone.txt (value labels), not in the file");
    // quantize says it, too, and keeps the files.
    const output = join(folder, "wrong.q.tflite");
    const { notes } = await quantize({
      model: path,
      output,
      options: { scheme: SCHEMES.int8, granularity: "channel" },
      samples: { sources: [{ location: "random:2" }], reduction: { kind: "minmax" } },
    });
    expect(notes.filter(({ kind }) => kind === "warning").map(({ code, tensor }) => [code, tensor])).toEqual([
      ["labels-contradict-output", "scores"],
      ["associated-file-missing", "boxes"],
    ]);
    expect(found(output).files).toMatchObject([
      { files: [{ name: "labels.txt", present: true }] },
      { files: [{ name: "gone.txt", present: false }] },
    ]);
  });

  test("damage in the archive or the metadata hinders nothing", async () => {
    const path = await written("damaged", metadata([], [[LABELS], []]), { "labels.txt": lines(400) });
    const content = new Uint8Array(await Bun.file(path).arrayBuffer());
    // The entry's own bytes, behind the local header.
    const at = Buffer.from(content).lastIndexOf("labels.txt", Buffer.from(content).lastIndexOf("PK\x01\x02")) + 10;
    content.fill(0xff, at, at + 40);
    await Bun.write(path, content);
    const { files, problems } = found(path);
    expect(files[0]!.files).toEqual([{ name: "labels.txt", type: "axis labels", present: true }]);
    expect(problems).toEqual([]);
    expect(found(await written("strange", bytes("nonsense"), { "labels.txt": "a" })).files).toEqual([]);
  });
});

test("two labels fit one score", () => {
  const built = model(["x"], ["y", "z"], (graph) => graph.tensor("x", [1]).tensor("y", [1, 1]).tensor("z", [1, 3]));
  const of = (tensor: number) => ({
    subgraph: 0,
    what: "output" as const,
    tensor,
    files: [{ name: "l", type: "axis labels" as const, present: true, lines: { count: 2, first: ["a", "b"] } }],
  });
  const opened = { model: built } as Parameters<typeof fileProblems>[0];
  expect(fileProblems(opened, [of(1), of(2)]).map(({ tensor }) => tensor)).toEqual([2]);
});
