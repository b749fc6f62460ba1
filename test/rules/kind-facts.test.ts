/** Facts about kinds against the schema's own text, and models whose operators name subgraphs in ways that were forgotten once. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { instrument } from "../../src/calibration/instrument.ts";
import { CIRCLE_OPERATORS } from "../../src/calibration/lowering.ts";
import {
  BuiltinOperator,
  calledSubgraphs,
  DIALECTS,
  reachableSubgraphs,
  subgraphCalls,
} from "../../src/model/index.ts";
import { REFERENCES } from "../../src/model/references.ts";
import { KIND_FACTS, kindFacts } from "../../src/rules/kind-facts.ts";
import { OPERATORS } from "../../src/rules/operators.ts";
import { dataOf, floats, ranges } from "../calibration/support.ts";
import { GraphBuilder, ModelBuilder } from "../helpers/models.ts";

const schema = readFileSync(join(import.meta.dir, "../../schema/circle.fbs"), "utf8");

/** Option tables of the schema's text with their integer fields that name subgraphs, in camelCase. */
function namedInSchema(): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const [, table, body] of schema.matchAll(/^table (\w+Options) \{([^}]*)\}/gm)) {
    for (const [, field] of body!.matchAll(/(\w*(?:subgraph|computations)\w*): \[?u?int\]?/g)) {
      found[table!] ??= [];
      found[table!]!.push(field!.replace(/_(\w)/g, (_, letter) => letter.toUpperCase()));
    }
  }
  return found;
}

/** The same as the table of references has it. */
const SUBGRAPH_FIELDS = Object.fromEntries(
  Object.entries(REFERENCES).flatMap(([table, fields]) => {
    const named = Object.keys(fields).filter((field) => fields[field] === "subgraph");
    return table.endsWith("Options") && named.length > 0 ? [[table, named]] : [];
  }),
);

describe("the table and the schema", () => {
  test("every option that names a subgraph is known", () => {
    expect(SUBGRAPH_FIELDS).toEqual(namedInSchema());
    expect(Object.keys(SUBGRAPH_FIELDS).length).toBeGreaterThanOrEqual(12);
  });

  test("kinds with such options are those that the table says run subgraphs", () => {
    // IfOptions → IF, StableHLOCompositeOptions → STABLEHLO_COMPOSITE
    const kinds = Object.keys(SUBGRAPH_FIELDS).map((table) =>
      table
        .replace(/Options$/, "")
        .replace("StableHLO", "Stablehlo")
        .replace(/(?<=[a-z])[A-Z]/g, "_$&")
        .toUpperCase(),
    );
    const calling = Object.entries(KIND_FACTS).flatMap(([kind, facts]) => (facts?.calls ? [kind] : []));
    expect(calling.sort()).toEqual(kinds.sort());
  });

  test("every kind of the tables is in the schema", () => {
    for (const kind of [...Object.keys(KIND_FACTS), ...Object.keys(OPERATORS)])
      expect(schema).toMatch(new RegExp(`^  ${kind} = `, "m"));
  });

  test("options that rows name are fields of option tables", () => {
    const fields = new Set(Object.values(DIALECTS.circle.tables).flatMap((table) => table.map(({ name }) => name)));
    const subgraphs = new Set(Object.values(SUBGRAPH_FIELDS).flat());
    for (const { dtype } of Object.values(OPERATORS)) {
      if (typeof dtype !== "object") continue;
      if ("option" in dtype) expect(fields).toContain(dtype.option);
      if ("subgraph" in dtype) expect(subgraphs).toContain(dtype.subgraph);
    }
  });

  test("what only Circle has is lowered for LiteRT, and nothing else", () => {
    const tflite = DIALECTS.tflite.enums.BuiltinOperator!;
    const own = Object.entries(BuiltinOperator).flatMap(([name, code]) => (name in tflite ? [] : [code]));
    expect([...CIRCLE_OPERATORS.keys()].sort()).toEqual(own.sort());
  });

  test("what runs subgraphs gives results whose size is not known", () => {
    for (const [kind, facts] of Object.entries(KIND_FACTS))
      if (facts?.calls) expect(kindFacts(kind).size).toBe("values");
  });
});

/** `x → CALL y`, and the subgraph that it runs: RELU. The called subgraph is number 2; number 1 is another one. */
function withCall() {
  const builder = new ModelBuilder();
  const main = new GraphBuilder(builder)
    .tensor("x", [4])
    .tensor("y", [4])
    .tensor("z", [4])
    .operator("CALL", ["x"], ["y"], { type: "CallOptions", value: { subgraph: 2 } })
    .operator("NEG", ["y"], ["z"], { type: "NegOptions", value: {} });
  const called = (kind: "ABS" | "RELU") =>
    new GraphBuilder(builder).tensor("a", [4]).tensor("b", [4]).operator(kind, ["a"], ["b"]).graph(["a"], ["b"]);
  return builder.model(main.graph(["x"], ["z"]), called("ABS"), called("RELU"));
}

/** `x, u → STABLEHLO_SCATTER y`: adds u to rows 1 and 0 of x by the subgraph `a + b`. */
function withScatter() {
  const builder = new ModelBuilder();
  const main = new GraphBuilder(builder)
    .tensor("x", [3])
    .tensor("u", [2])
    .constant("rows", [2, 1], Int32Array.of(1, 0))
    .tensor("y", [3])
    .tensor("z", [3])
    .operator("STABLEHLO_SCATTER", ["x", "rows", "u"], ["y"])
    .operator("NEG", ["y"], ["z"], { type: "NegOptions", value: {} });
  main.operators[0]!.builtinOptions2 = {
    type: "StablehloScatterOptions",
    value: {
      updateWindowDims: new BigInt64Array(0),
      insertedWindowDims: BigInt64Array.of(0n),
      scatterDimsToOperandDims: BigInt64Array.of(0n),
      indexVectorDim: 1n,
      updateComputationSubgraphIndex: 1,
    },
  };
  const sum = new GraphBuilder(builder)
    .tensor("a", [])
    .tensor("b", [])
    .tensor("c", [])
    .operator("STABLEHLO_ADD", ["a", "b"], ["c"]);
  return builder.model(main.graph(["x", "u"], ["z"]), sum.graph(["a", "b"], ["c"]));
}

describe("models", () => {
  test("CALL: its subgraph is found, kept and called by its new number", () => {
    const model = withCall();
    expect([...calledSubgraphs(model)]).toEqual([2]);
    expect(reachableSubgraphs(model, 0)).toEqual([0, 2]);
    const copy = instrument(model).model;
    expect(copy.subgraphs!.length).toBe(2);
    expect(subgraphCalls(copy.subgraphs![0]!.operators![0]!)).toEqual([1]);
  });

  test("STABLEHLO_SCATTER: its subgraph is found, and the model is recorded", async () => {
    const model = withScatter();
    expect([...calledSubgraphs(model)]).toEqual([1]);
    expect(instrument(model).model.subgraphs!.length).toBe(2);
    const found = await ranges(model, dataOf([floats(1, 2, 3), floats(10, -20)]));
    // y = 1 − 20, 2 + 10, 3.
    expect(found).toMatchObject({ y: [-19, 12], z: [-12, 19] });
  });

  test("STABLEHLO_CASE names a list", () => {
    const operator = {
      builtinOptions2: { type: "StablehloCaseOptions", value: { branchSubgraphIndices: Int32Array.of(3, 1) } },
    } as const;
    expect(subgraphCalls(operator)).toEqual([3, 1]);
    expect(subgraphCalls({ builtinOptions2: { type: "StablehloCaseOptions", value: {} } })).toEqual([]);
  });
});
