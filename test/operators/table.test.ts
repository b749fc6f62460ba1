/**
 * The operator table against ONE's (appendix-a.tsv; docs/reference.md, Appendix A), column by column and in
 * both directions. dtype rules are those of §2.1 and §10.4.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  hasRule,
  OPERATORS,
  type OperandRole,
  type OperatorRow,
  operandsWith,
  roleOf,
} from "../../src/rules/operators.ts";

type Column =
  | "operator"
  | "activations"
  | "weights"
  | "bias"
  | "constants"
  | "mixed"
  | "special"
  | "backward"
  | "forward"
  | "verifier"
  | "fake"
  | "dtype";
type Line = Record<Column, string>;

const [head, ...body] = readFileSync(join(import.meta.dir, "appendix-a.tsv"), "utf8")
  .trimEnd()
  .split("\n");
const columns = head!.split("\t") as Column[];
const lines = body.map((text) => {
  const cells = text.split("\t");
  return Object.fromEntries(columns.map((column, i) => [column, cells[i]!])) as Line;
});

/** Operands that the table describes one by one; `rest` is said as "all". */
const operands = (row: OperatorRow) => row.in.map((role, index) => ({ role, index }));
const withRole = (row: OperatorRow, role: OperandRole["role"]): string => {
  if (row.rest?.role === role) return "all";
  return operandsWith(row, row.in.length, role).join() || "-";
};

/** The row's columns, in the words of the text. */
const COLUMNS: Partial<Record<Column, (row: OperatorRow, line: Line) => string>> = {
  activations: (row) => (hasRule(row) ? withRole(row, "activation") : "no rule"),
  weights: (row) =>
    operands(row)
      .flatMap(({ role, index }) => {
        if (role.role === "weights") return [`${role.name}[${index}]@${role.axis}`];
        return role.role === "unit" ? [`${role.name}[${index}]@last`] : [];
      })
      .join(" ") || "-",
  bias: (row) => withRole(row, "bias"),
  constants: (row) => {
    if (row.constants === "own") return withRole(row, "activation");
    return row.constants === "refused" ? "err" : "skip";
  },
  // The operands that get a Quantize, instead of the text's kind of rule; see MIXED.
  mixed: (row) => {
    if (!row.mixed) return "err";
    const at = row.mixed === "activations" ? withRole(row, "activation") : row.mixed.join();
    return row.multiple ? `${at}, each result` : at;
  },
  special: (row) => {
    const names = { logistic: "Logistic", tanh: "Tanh", softmax: "Softmax", integer: "IntScale" };
    if (row.out.role === "special") return names[row.out.kind] + (row.fuses ? " +T" : "");
    return row.fuses ? "+T" : "-";
  },
  backward: (row) => {
    switch (row.backward?.rule) {
      case undefined:
        return "-";
      case "concat":
        return "all";
      case "all":
        return row.backward.operands === "rest" ? "all" : row.backward.operands.join();
      case "pad-value":
        return withRole(row, "activation");
      case "operand":
        return String(row.backward.operand);
    }
  },
  forward: ({ out }) => {
    if (out.role === "requantized") return "special";
    if (out.role !== "same") return "-";
    return out.when === "tf-style-maxpool" ? `${out.operand} tf` : String(out.operand);
  },
  fake: (row) => {
    const words = { "quantize-dequantize": "QDQ", nothing: "noop", dequantize: "DQ" };
    return row.fake ? words[row.fake] : "err";
  },
  dtype: ({ dtype = { operand: 0 } }) => {
    if (dtype === "own") return "own";
    if ("operand" in dtype) return String(dtype.operand);
    if ("fixed" in dtype) return dtype.fixed;
    if ("option" in dtype) return `option ${dtype.option}`;
    if ("results" in dtype) return dtype.results.join();
    return `${dtype.side} ${dtype.subgraph}`;
  },
};

/** §4.1: which operands get a Quantize, for the text's kinds (1 unary, 2 binary, N variadic, M multi-output). */
function mixedOperands({ operator, mixed, activations }: Line): string {
  if (mixed === "M") return `${activations}, each result`;
  // PADV2's pad value is a constant; only its input is named.
  if (mixed === "1" && operator === "PADV2") return "0";
  return mixed === "err" ? "err" : activations;
}

/** The text's verifier column: the row's kind of check, and what raw operands must be (§6). */
const VERIFIER: Record<string, { verify: OperatorRow["verify"]; raw?: Record<number, string>; out?: string }> = {
  "-": { verify: undefined },
  "group Q": { verify: "roles", raw: {} },
  "group Q or all S32/S64": { verify: "roles or all integer", raw: {} },
  "group Q + integer scale": { verify: "roles", raw: {}, out: "special" },
  "group Q + predefined": { verify: "roles", raw: {}, out: "special" },
  "group BOOL": { verify: "roles", raw: { 0: "BOOL", 1: "BOOL" }, out: "boolean" },
  "BOOL; x,y Q": { verify: "roles", raw: {}, out: "boolean" },
  "out=output_type, in Q": { verify: "index result", raw: { 1: "INT32,INT64" } },
  "node,input Q": { verify: "roles", raw: { 1: "", 2: "" } },
  "see §6": { verify: "cast", raw: {} },
  "Q,Q,Q,bias B": { verify: "roles", raw: {} },
  "Q,Q,Q,bias B if Const": { verify: "roles", raw: { 0: "" } },
  "Q; axes S32": { verify: "roles", raw: { 1: "INT32" } },
  "Q; paddings S32": { verify: "roles", raw: { 1: "INT32" } },
  "Q; paddings S32; value Q": { verify: "roles", raw: { 1: "INT32" } },
  "Q; perm S32": { verify: "roles", raw: { 1: "INT32" } },
  "Q; indices S32/S64; depth S32": { verify: "roles", raw: { 0: "INT32,INT64", 1: "INT32" } },
  "Q; begin/size S32/S64": { verify: "roles", raw: { 1: "INT32,INT64", 2: "INT32,INT64" } },
  "Q or same dtype; shape S32": { verify: "reshape", raw: { 1: "INT32" } },
  "input Q": { verify: "same parameters", raw: { 0: "", 1: "", 2: "" } },
  "value Q": { verify: "same parameters", raw: {} },
  "Q, params = input": { verify: "same parameters", raw: { 1: "", 2: "", 3: "" } },
};

function verifierOf(row: OperatorRow, raw: Record<number, string> | undefined) {
  const found: Record<number, string> = {};
  const count = row.rest ? 2 : row.in.length;
  for (let index = 0; index < count; index++) {
    const role = roleOf(row, index);
    if (role.role === "raw") found[index] = role.dtypes.join();
  }
  // The text lists as many free operands as any of its operators has.
  const listed = Object.entries(raw ?? {}).filter(([index, dtypes]) => dtypes !== "" || Number(index) in found);
  return { found, expected: Object.fromEntries(listed) };
}

test("every operator of the text has a row", () => {
  expect(lines.length).toBe(126);
  expect(lines.map(({ operator }) => operator).filter((operator) => !OPERATORS[operator])).toEqual([]);
});

test("every row is an operator of the text", () => {
  const known = new Set(lines.map(({ operator }) => operator));
  expect(Object.keys(OPERATORS).filter((operator) => !known.has(operator))).toEqual([]);
  expect(known.size).toBe(lines.length);
});

test("86 operators have a rule", () => {
  expect(Object.values(OPERATORS).filter(hasRule).length).toBe(86);
});

for (const [column, inWords] of Object.entries(COLUMNS)) {
  describe(column, () => {
    for (const line of lines) {
      const row = OPERATORS[line.operator];
      if (!row) continue;
      test(line.operator, () => {
        const said = column === "mixed" ? mixedOperands(line) : line[column as Column];
        expect(inWords(row, line)).toBe(said);
      });
    }
  });
}

describe("verifier", () => {
  for (const line of lines) {
    const row = OPERATORS[line.operator];
    if (!row) continue;
    test(line.operator, () => {
      const text = VERIFIER[line.verifier];
      if (!text) throw new Error(`"${line.verifier}" has no meaning here`);
      expect(row.verify).toBe(text.verify);
      if (!text.verify) return;
      const { found, expected } = verifierOf(row, text.raw);
      expect(found).toEqual(expected);
      if (text.out) expect(row.out.role).toBe(text.out as never);
    });
  }
});

test("operators with result nodes of their own are those of §1.4", () => {
  const multiple = ["SPLIT", "SPLIT_V", "TOPK_V2", "UNIQUE", "UNPACK", "CUSTOM", "IF", "WHILE"];
  const more = ["NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5", "BIDIRECTIONAL_SEQUENCE_LSTM"];
  const found = Object.keys(OPERATORS).filter((operator) => OPERATORS[operator]!.multiple);
  expect(found.sort()).toEqual([...multiple, ...more].sort());
});

test("weights that may be quantized alone are those of §5.4", () => {
  const found = Object.keys(OPERATORS).filter((operator) => OPERATORS[operator]!.weightsOnly);
  expect(found.sort()).toEqual(["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"]);
});

test("operands that must be constants are those of §2.4", () => {
  const expected: Record<string, string[]> = {
    PRELU: ["alpha"],
    RMS_NORM: ["gamma"],
    CONV_2D: ["filter", "bias"],
    DEPTHWISE_CONV_2D: ["filter", "bias"],
    FULLY_CONNECTED: ["weights", "bias"],
    INSTANCE_NORM: ["gamma", "beta"],
    TRANSPOSE_CONV: ["inputSizes", "filter", "bias"],
  };
  for (const [operator, row] of Object.entries(OPERATORS)) {
    const names = row.in.flatMap((role) => {
      if (role.role === "activation") return [];
      return role.role === "raw" ? (role.constant ?? []) : role.name;
    });
    expect({ operator, names }).toEqual({ operator, names: expected[operator] ?? [] });
  }
});
