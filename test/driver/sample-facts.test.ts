/** What samples look like: values that are no numbers, inputs that never change, pictures of 0…255. */
import { expect, test } from "bun:test";
import type { DataSet, InputSpec } from "../../src/calibration/inputs.ts";
import { SampleFacts } from "../../src/driver/sample-facts.ts";
import type { ExpectedInput } from "../../src/model/index.ts";

const spec = (name: string, dtype = "FLOAT32"): InputSpec => ({ name, dtype, shape: [2] });

/** Facts of records, each a list of values per input. */
async function factsOf(specs: InputSpec[], records: number[][][], expected?: ExpectedInput[]): Promise<SampleFacts> {
  const bytes = (values: number[]) => new Uint8Array(Float32Array.from(values).buffer);
  const data: DataSet = {
    description: "made for the test",
    count: records.length,
    async *records() {
      for (const record of records) yield record.map(bytes);
    },
    close() {},
  };
  const facts = new SampleFacts(specs, expected);
  const seen: number[][][] = [];
  for await (const record of facts.watch(data).records())
    seen.push(record.map((each) => [...new Float32Array(each.buffer)]));
  expect(seen).toEqual(records.map((record) => record.map((values) => [...Float32Array.from(values)])));
  return facts;
}

const codes = (facts: SampleFacts, random = false) => facts.notes(random).map(({ code }) => code);

test("one NaN in sample 3: the input and the sample", async () => {
  const facts = await factsOf(
    [spec("x"), spec("y")],
    [
      [
        [0.5, 1],
        [0, 0.1],
      ],
      [
        [0.25, 1],
        [0, 0.2],
      ],
      [
        [Number.NaN, 1],
        [0, 0.3],
      ],
    ],
  );
  expect(facts.notFinite()).toEqual([
    'input "x": sample 3 (counted from 1) has 1 value that is NaN or infinite; mend or leave out this sample',
  ]);
  expect(codes(facts)).toEqual(["samples-not-finite"]);
});

test("several samples are listed, five at most", async () => {
  const facts = await factsOf(
    [spec("x")],
    Array.from({ length: 7 }, () => [[Number.POSITIVE_INFINITY, 0]]),
  );
  expect(facts.notFinite()[0]).toContain("samples 1, 2, 3, 4, 5 and 2 more (counted from 1) have 7 values");
});

test("constant samples, bytes, and ordinary ones; nothing of integers and of random data", async () => {
  const records = [
    [
      [0, 0],
      [0, 255],
      [0.5, 0.25],
      [7, 7],
    ],
    [
      [0, 0],
      [17, 3],
      [1, 200],
      [7, 7],
    ],
  ];
  const facts = await factsOf([spec("zero"), spec("bytes"), spec("floats"), spec("integers", "INT32")], records);
  expect(facts.notes(false).map(({ code, tensor }) => [code, tensor])).toEqual([
    ["constant-samples", "zero"],
    ["samples-look-like-bytes", "bytes"],
  ]);
  expect(codes(facts, true)).toEqual([]);
});

test("whole numbers up to 16 are no bytes", async () => {
  expect(codes(await factsOf([spec("x")], [[[0, 16]], [[3, 1]]]))).toEqual([]);
});

test.each<{ values: number[]; min: number; max: number; found: string[] }>([
  { values: [0, 255], min: -1, max: 1, found: ["samples-contradict-model"] },
  { values: [0.1, 3], min: 0, max: 1, found: ["samples-contradict-model"] },
  { values: [0, 0.9], min: 0, max: 255, found: ["samples-contradict-model"] },
  { values: [0, 255], min: 0, max: 255, found: [] },
  { values: [-1, 1.05], min: -1, max: 1, found: [] },
])("samples $values where metadata say $min to $max", async ({ values, min, max, found }) => {
  expect(codes(await factsOf([spec("x")], [[values]], [{ min, max, by: "mean 0, std 1" }]))).toEqual(found);
});
