/**
 * Every operator in a model of its own, through the whole pipeline: parameters and values of every tensor bit for bit
 * against the naive oracle. A row of the operator table without a case fails.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ActivationFunctionType, type BuiltinOptions } from "../../src/model/index.ts";
import type { Workspace } from "../../src/passes/context.ts";
import { OPERATORS } from "../../src/rules/operators.ts";
import { dropIn, quantize, refusal, type Setup, verifyAll, written } from "../passes/support.ts";
import { CASES, FUSING } from "./cases.ts";
import { expectedOf, modelOf, type Parsed, parse, type Situation } from "./one-operator.ts";
import type { Expected } from "./oracle.ts";
import { fromRange, perTensor } from "./oracle.ts";

/** Appendix A (docs/reference.md): what happens to constant activations; "no rule" for operators without any. */
const TEXT = new Map(
  readFileSync(join(import.meta.dir, "appendix-a.tsv"), "utf8")
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((line) => {
      const [operator, activations, , , constants, , special, , , verifier] = line.split("\t");
      return [
        operator!,
        { ruled: activations !== "no rule", constants: constants!, special: special!, verifier },
      ] as const;
    }),
);

const SCHEMES = [
  { dtype: "UINT8", granularity: "channel" },
  { dtype: "UINT8", granularity: "layer" },
  { dtype: "INT16", granularity: "channel" },
] as const;

test("every row has a case", () => {
  expect(Object.keys(OPERATORS).filter((op) => !CASES[op])).toEqual([]);
  expect(Object.keys(CASES).filter((op) => !OPERATORS[op])).toEqual([]);
});

/** Their constant input is "handled elsewhere" (§3.7), but nowhere: it stays float and the verifier refuses the model. */
const NORMS = ["INSTANCE_NORM", "PRELU", "RMS_NORM"];
/** With a constant it is one itself before quantization starts (§10.10 and test/passes/prepare.test.ts). */
const FOLDED = "DENSIFY";

/** Compares all tensors that are expected; returns problems of the verifier, which needs the scales that writing fills in. */
async function compare(space: Workspace, expected: Map<string, Expected>): Promise<string[]> {
  const { tensors } = await written(space);
  for (const [name, { values, ...parameters }] of expected) {
    const fact = tensors.get(name);
    if (!fact) throw new Error(`tensor "${name}" was not written`);
    const { dtype, scale, zeroPoint, axis } = fact;
    expect({ name, dtype, scale, zeroPoint, axis }).toEqual({ name, ...parameters });
    if (values) expect({ name, values: fact.values }).toEqual({ name, values });
    expect({ name, min: fact.min, max: fact.max }).toEqual({ name, min: [], max: [] });
  }
  expect([...tensors.keys()].sort()).toEqual([...expected.keys()].sort());
  return verifyAll(space, false);
}

const situationOf = (op: string, scheme: (typeof SCHEMES)[number]): Situation => ({
  ...scheme,
  constants: TEXT.get(op)!.constants === "skip" ? "elsewhere" : "own",
});

for (const [op, one] of Object.entries(CASES)) {
  const text = TEXT.get(op)!;
  describe(op, () => {
    for (const scheme of SCHEMES) {
      const label = `${scheme.dtype} by ${scheme.granularity}`;
      const options: BuiltinOptions | undefined = one.options;

      test(label, async () => {
        const parsed = parse(one);
        const space = await dropIn(modelOf(op, parsed, options), scheme);
        expect(await compare(space, expectedOf(parsed, situationOf(op, scheme)))).toEqual([]);
      });

      parse(one).operands.forEach(({ word }, index) => {
        if (!"x^qB".includes(word) || op === FOLDED) return;
        const parsed = parse(one, index);
        const model = modelOf(op, parsed, options);
        if (text.constants === "err") {
          test(`${label}, operand ${index} a constant: refused`, async () => {
            const message = await refusal(() => dropIn(model, scheme));
            expect(message).toContain(op);
            expect(message).toContain('"y0"');
          });
        } else if (NORMS.includes(op)) {
          test(`${label}, operand ${index} a constant: does not verify`, async () => {
            const space = await dropIn(model, scheme);
            expect((await written(space)).tensors.get("x0")!.dtype).toBe("FLOAT32");
            expect(verifyAll(space, false).join("\n")).toContain(`${op} "y0": wrong dtype: operand 0 "x0" is FLOAT32`);
          });
        } else {
          test(`${label}, operand ${index} a constant`, async () => {
            const space = await dropIn(model, scheme);
            expect(await compare(space, expectedOf(parsed, situationOf(op, scheme)))).toEqual([]);
          });
        }
      });

      if (text.special.includes("+T") && op !== "BIDIRECTIONAL_SEQUENCE_LSTM") {
        test(`${label}, fused tanh`, async () => {
          const parsed = parse(one);
          const space = await dropIn(modelOf(op, parsed, fused(op)), scheme);
          expect(await compare(space, expectedOf(parsed, { ...situationOf(op, scheme), tanh: true }))).toEqual([]);
        });
      }
    }
  });
}

function fused(op: string): BuiltinOptions {
  const value = { fusedActivationFunction: ActivationFunctionType.TANH };
  return { type: FUSING[op]!, value } as BuiltinOptions;
}

test("operators that may fuse are those of the text", () => {
  const said = [...TEXT].filter(([, { special }]) => special.includes("+T")).map(([op]) => op);
  expect(Object.keys(FUSING).sort()).toEqual(said.sort());
});

test("MAX_POOL_2D takes over its operand's parameters on request", async () => {
  const parsed = parse({ words: "x -> =0" });
  const scheme = { dtype: "UINT8", granularity: "channel" } as const;
  const space = await dropIn(modelOf("MAX_POOL_2D", parsed), { ...scheme, tfStyleMaxpool: true });
  expect(await compare(space, expectedOf(parsed, situationOf("MAX_POOL_2D", scheme)))).toEqual([]);
});

/** Result dtypes that make an operator float by its nature. */
const FLOAT_BY_NATURE = ["CAST", "DEQUANTIZE"];
/** Its result in the cases is quantized already. */
const KEPT = "QUANTIZE";
/** They read shapes only, so they are no reason for floats (reference dtype inference, §2.1). */
const SHAPE_ONLY = ["SHAPE", "RANK"];

describe("quantize", () => {
  const scheme: Setup = { dtype: "UINT8", granularity: "channel" };
  for (const [op, one] of Object.entries(CASES)) {
    const ruled = TEXT.get(op)!.ruled || OPERATORS[op]!.ours !== undefined;
    if (op === KEPT) {
      test(`${op} is what the file has quantized already, and is fed floats`, async () => {
        const space = await quantize(modelOf(op, parse(one), one.options), scheme);
        expect(space.context.notes.map(({ kind, code }) => [kind, code])).toEqual([["kept", "quantized-already"]]);
        const { operators, tensors } = await written(space);
        expect(operators).toEqual(["DEQUANTIZE(x0) -> x0_Dequantize", "QUANTIZE(x0_Dequantize) -> y0"]);
        expect(tensors.get("y0")).toMatchObject(perTensor("UINT8", 0.5, 3));
      });
    } else if (ruled && !FLOAT_BY_NATURE.includes(op)) {
      test(`${op} is quantized`, async () => {
        const space = await quantize(modelOf(op, parse(one), one.options), scheme);
        expect(space.context.notes.filter(({ kind }) => kind === "float")).toEqual([]);
        expect(space.graphs[0]!.nodes.filter(({ float }) => float)).toEqual([]);
      });
    } else if (!SHAPE_ONLY.includes(op)) {
      test(`${op} stays float, with borders`, async () => {
        const parsed = parse(one);
        await floatWithBorders(op, parsed, await quantize(modelOf(op, parsed, one.options), scheme));
      });
    } else {
      test(`${op} reads a quantized tensor as it is`, async () => {
        const { operators, tensors } = await written(await quantize(modelOf(op, parse(one), one.options), scheme));
        expect(operators).toEqual([`${op}(x0) -> y0`]);
        expect(tensors.get("x0")!.dtype).toBe("UINT8");
      });
    }
    if (NORMS.includes(op)) {
      test(`${op} with a constant input verifies one way or the other`, async () => {
        const space = await quantize(modelOf(op, parse(one, 0), one.options), scheme);
        await written(space);
        expect(verifyAll(space, true)).toEqual([]);
      });
    }
    if (TEXT.get(op)!.constants !== "err" || op === FOLDED || OPERATORS[op]!.ours) continue;
    const at = parse(one).operands.findIndex(({ word }) => "xq".includes(word));
    if (at < 0) continue;
    test(`${op} with a constant stays float`, async () => {
      const parsed = parse(one, at);
      await floatWithBorders(op, parsed, await quantize(modelOf(op, parsed, one.options), scheme));
    });
  }
});

describe("our own rules", () => {
  const ours = Object.entries(OPERATORS).flatMap(([op, row]) => (row.ours ? [op] : []));

  test("are these", () => expect(ours).toEqual(["HARD_SWISH"]));

  for (const op of ours) {
    for (const scheme of SCHEMES) {
      test(`${op} is an ordinary activation in ${scheme.dtype} by ${scheme.granularity}, with a constant, too`, async () => {
        for (const constant of [undefined, 0]) {
          const parsed = parse(CASES[op]!, constant);
          const space = await quantize(modelOf(op, parsed, CASES[op]!.options), scheme);
          const { tensors } = await written(space);
          expect(tensors.get("y0")).toMatchObject(fromRange(scheme.dtype, parsed.range));
          expect(tensors.get("x0")!.dtype).toBe(scheme.dtype);
          expect(verifyAll(space, false)).toEqual([]);
        }
      });
    }
    test(`${op} has no rule for the drop-in front`, async () => {
      const space = await dropIn(modelOf(op, parse(CASES[op]!), CASES[op]!.options));
      expect(space.graphs[0]!.nodes.find((node) => node.op === op)!.row).toBe(OPERATORS[op]!);
    });
  }
});

/** Float operands come through a Dequantize, float results go through a Quantize with their range. */
async function floatWithBorders(op: string, parsed: Parsed, space: Workspace): Promise<void> {
  const { operators, outputs, tensors } = await written(space);
  const { operands, results, range } = parsed;
  const isFloat = ({ word }: { word: string }) => !":k".includes(word[0]!);
  const read = operands.map(({ word, name, values }) => (word === "x" && !values ? `${name}_Dequantize` : name));
  const yielded = results.map(({ name }) => name);
  const dequantized = operands.filter(({ word, values }) => word === "x" && !values);
  expect(operators.toSorted()).toEqual(
    [
      ...dequantized.map(({ name }) => `DEQUANTIZE(${name}) -> ${name}_Dequantize`),
      `${op === "CUSTOM" ? "CUSTOM:Mine" : op}(${read.join(", ")}) -> ${yielded.join(", ")}`,
      ...results.filter(isFloat).map(({ name }) => `QUANTIZE(${name}) -> ${name}_Quantize`),
    ].toSorted(),
  );
  expect(outputs).toEqual(results.map((result) => (isFloat(result) ? `${result.name}_Quantize` : result.name)));
  const plain = { dtype: "FLOAT32", scale: [], zeroPoint: [], axis: 0, min: [], max: [], sparse: false };
  for (const { name } of dequantized) expect(tensors.get(`${name}_Dequantize`)).toEqual({ ...plain, values: null });
  for (const result of results.filter(isFloat)) {
    expect(tensors.get(result.name)).toEqual({ ...plain, values: null });
    expect(tensors.get(`${result.name}_Quantize`)).toMatchObject(fromRange("UINT8", range));
  }
  for (const { name, range } of dequantized) expect(tensors.get(name)).toMatchObject(fromRange("UINT8", range));
  for (const { word, name, values } of operands)
    if (values && word === "x") expect(tensors.get(name)).toEqual({ ...plain, values: [...values] });
  expect(verifyAll(space, true)).toEqual([]);
}
