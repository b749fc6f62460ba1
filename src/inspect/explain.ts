/**
 * Why a tensor of a file has its parameters, as far as the file tells: which rule of its scheme fixes them, whether the numbers are what that
 * rule gives, and which other tensors have the same because of it. How ranges were found is in no file; `--explain` of `quantize` writes it (why.ts).
 *
 *     LOGISTIC p: scale 1/256, zero point -128   →   "fixed": LOGISTIC's result always has these
 *     bias b: scale 0.0001 = 0.02 · 0.005        →   "bias": scale of x × scale of w, which holds
 */
import { activeNodes, type Graph, isConstant, type Node, yieldedBy } from "../graph/graph.ts";
import { fusedActivation } from "../graph/options.ts";
import { sameScaleAndZeroPoint } from "../graph/quantparam.ts";
import type { OpenedModel } from "../model/index.ts";
import { type Recognized, recognize } from "../passes/recognize.ts";
import { specialKindOf } from "../passes/special.ts";
import { workspace } from "../passes/workspace.ts";
import type { OperatorRow } from "../rules/operator-row.ts";
import { RULES_OF, roleOf, rowOf, tiedOperands } from "../rules/operators.ts";
import { DEFAULT_SCHEME, FAMILIES, type Quantizer, type Scheme } from "../rules/schemes.ts";
import type { Place } from "./tensor.ts";

export type RuleCode =
  | "float"
  | "unquantized"
  | "range"
  | "input"
  | "fixed"
  | "integer-scale"
  | "requantized"
  | "same-as-operand"
  | "tied"
  | "weights"
  | "bias"
  | "own-values";

export interface Explanation {
  /** "int8 of LiteRT's scheme"; absent for what no scheme is seen of. */
  readonly scheme?: string;
  readonly rule: RuleCode;
  /** The rule as sentences. */
  readonly text: string;
  /** Whether the numbers are what the rule gives; absent where a file cannot tell. */
  readonly holds?: boolean;
  /** Tensors with the same parameters because of rules. */
  readonly tied: readonly string[];
}

/** Explains the tensor at a place. Throws a MinmaxqError for models that passes cannot work on. */
export function explanationOf(opened: OpenedModel, place: Place): Explanation {
  const { graphs } = workspace(opened, DEFAULT_SCHEME);
  const recognized = recognize(graphs);
  const name = opened.model.subgraphs![place.subgraph]!.tensors![place.index]!.name ?? "";
  const graph = graphs[place.subgraph]!;
  const node = nodeOf(graph, name);
  if (!node) return { rule: "unquantized", text: "No output depends on it.", tied: [] };
  return new Explainer(recognized).explain(node);
}

function nodeOf(graph: Graph, name: string): Node | undefined {
  const found = activeNodes(graph).filter((node) => node.name === name && node.kind !== "output");
  return found.find(({ kind }) => kind === "result") ?? found[0];
}

class Explainer {
  constructor(private readonly recognized: Recognized) {}

  explain(node: Node): Explanation {
    const { quant, dtype } = node;
    if (!quant?.scale.length && !quant?.blocks) return this.withoutParameters(node);
    const scheme = this.schemeOf(node);
    const found = isConstant(node) ? this.constant(node, scheme) : this.activation(node, scheme);
    const tied = isConstant(node) ? [] : this.tiedTo(node);
    const named =
      scheme && dtype !== "FLOAT32" ? { scheme: `${scheme.name} of ${FAMILIES[scheme.family]}'s scheme` } : {};
    return { ...named, ...found, tied };
  }

  private withoutParameters(node: Node): Explanation {
    const { dtype, quant } = node;
    if (dtype !== "FLOAT32")
      return {
        rule: "unquantized",
        text: `Values of ${dtype} without a scale: they are what they are (a shape, an index, a truth).`,
        tied: [],
      };
    const range = quant?.min.length ? " Its range is recorded: `quantize` makes parameters of that." : "";
    const reason = "The file does not say why; `quantize --explain` does.";
    const text =
      this.recognized.schemes.length > 0
        ? `It is float, beside quantized tensors. ${reason}`
        : `It is float, as the model is.`;
    return { rule: "float", text: text + range, tied: [] };
  }

  /** That of the operator that yields it, or of a reader. */
  private schemeOf(node: Node): Scheme | undefined {
    const operator = node.kind === "result" ? node.inputs[0]! : node;
    const sources = operator.kind === "operator" ? [node] : [...node.users];
    const settings = sources.flatMap(({ name }) => this.recognized.layers.get(name) ?? []);
    return settings[0]?.scheme;
  }

  private rowIn(node: Node, scheme: Scheme | undefined): OperatorRow {
    return scheme ? rowOf(node.op, RULES_OF[scheme.family]) : node.row;
  }

  private constant(node: Node, scheme: Scheme | undefined): Omit<Explanation, "tied"> {
    for (const reader of node.users) {
      const index = reader.inputs.indexOf(node);
      const row = this.rowIn(reader, scheme);
      const { role } = roleOf(row, index);
      const what = `${reader.op} "${reader.name}"`;
      if (role === "bias") return this.bias(node, reader, row, what);
      if (role === "weights")
        return {
          rule: "weights",
          text: `Weights of ${what}: ${quantizerText(node, scheme?.weights[node.quant!.scale.length > 1 ? "channel" : "layer"])}`,
        };
    }
    const [reader] = node.users;
    return {
      rule: "own-values",
      text: `A constant${reader ? ` of ${reader.op} "${reader.name}"` : ""}: parameters are those of its own least and largest value.`,
    };
  }

  private bias(node: Node, reader: Node, row: OperatorRow, what: string): Omit<Explanation, "tied"> {
    const find = (role: string) => reader.inputs.find((_, index) => roleOf(row, index).role === role);
    const [input, weights] = [find("activation"), find("weights")];
    const text = `Bias of ${what}: its scale is that of "${input?.name ?? "?"}" × that of "${weights?.name ?? "?"}", so that it adds to their products; zero point 0.`;
    const [x, w, own] = [input?.quant?.scale[0], weights?.quant?.scale, node.quant!.scale];
    if (x === undefined || !w || w.length !== own.length) return { rule: "bias", text };
    return {
      rule: "bias",
      text,
      holds: own.every((scale, i) => Math.abs(scale - x * w[i]!) <= 1e-6 * Math.abs(scale)),
    };
  }

  private activation(node: Node, scheme: Scheme | undefined): Omit<Explanation, "tied"> {
    const operator = node.kind === "result" ? node.inputs[0]! : node;
    if (operator.kind !== "operator")
      return {
        rule: "input",
        text: `An input: its parameters are those of the range that its samples had${scheme ? `, by the quantizer of ${scheme.name}` : ""}; or they were given.`,
      };
    const row = this.rowIn(operator, scheme);
    const what = `${operator.op} "${operator.name}"`;
    const fixed = fixedOf(node, operator, row, scheme);
    if (fixed) {
      const { scale, zeroPoint } = fixed;
      const holds = node.quant!.scale[0] === Math.fround(scale) && Number(node.quant!.zeroPoint[0]) === zeroPoint;
      return {
        rule: "fixed",
        text: `The result of ${operator.op} always has scale ${fraction(scale)} and zero point ${zeroPoint} in this scheme, whatever was recorded.`,
        holds,
      };
    }
    if (specialKindOf(operator) === "integer")
      return {
        rule: "integer-scale",
        text: `The result of ${operator.op} gets its range's scale, rounded up to a whole number.`,
        holds: Number.isInteger(node.quant!.scale[0]),
      };
    if (row.out.role === "requantized")
      return {
        rule: "requantized",
        text: `${what} stands here so that "${operator.inputs[0]?.name ?? "?"}" gets the parameters that its readers want.`,
      };
    const follows = this.followed(operator, scheme);
    if (follows.length > 0) {
      const names = follows.map(({ name }) => `"${name}"`).join(", ");
      const holds = follows.every(({ quant }) => quant !== null && sameScaleAndZeroPoint(quant, node.quant!));
      const code = follows.length > 1 ? "tied" : "same-as-operand";
      return {
        rule: code,
        text: `${operator.op} takes integers as they are, so its result has the parameters of ${names}.`,
        holds,
      };
    }
    const fused = fusedActivation(operator);
    const relu =
      fused && fused !== "NONE" ? ` ${fused} is fused into ${operator.op}, so values beyond it do not occur.` : "";
    return { rule: "range", text: `Its own range, from samples or the file: ${rangeRule(scheme)}${relu}` };
  }

  /** Operands whose parameters an operator's result has. */
  private followed(operator: Node, scheme: Scheme | undefined): Node[] {
    const row = this.rowIn(operator, scheme);
    const tied = scheme ? tiedOperands(row, operator.inputs.length, scheme.family) : [];
    const own = row.out.role === "same" && !row.out.when ? [row.out.operand] : [];
    const operands = [...new Set([...tied, ...own])].map((index) => operator.inputs[index]);
    return operands.filter(
      (operand): operand is Node => !!operand && !isConstant(operand) && (operand.quant?.scale.length ?? 0) > 0,
    );
  }

  /** All tensors with these parameters that rules hold together, from operator to operator; handed back ones (ONE) are among them. */
  private tiedTo(node: Node): string[] {
    const seen = new Set<Node>([node]);
    const waiting = [node];
    const quant = node.quant!;
    for (let at = waiting.pop(); at; at = waiting.pop()) {
      for (const other of this.neighbours(at)) {
        if (seen.has(other) || !other.quant || !sameScaleAndZeroPoint(other.quant, quant) || other.dtype !== node.dtype)
          continue;
        seen.add(other);
        waiting.push(other);
      }
    }
    seen.delete(node);
    return [...new Set([...seen].map(({ name }) => name))].filter((name) => name !== node.name);
  }

  private neighbours(node: Node): Node[] {
    const yielding = node.kind === "result" ? node.inputs[0]! : node;
    const operators = [
      ...(yielding.kind === "operator" ? [yielding] : []),
      ...[...node.users].filter(({ kind }) => kind === "operator"),
    ];
    return operators.flatMap((operator) => {
      const scheme = this.recognized.layers.get(operator.name)?.scheme;
      const row = this.rowIn(operator, scheme);
      const linked = [...this.followed(operator, scheme), ...(row.backward ? this.activations(operator, row) : [])];
      const tensors = [...linked, ...yieldedBy(operator)];
      return linked.length > 0 && tensors.includes(node) ? tensors : [];
    });
  }

  private activations(operator: Node, row: OperatorRow): Node[] {
    return operator.inputs.filter(
      (operand, index): operand is Node =>
        !!operand && !isConstant(operand) && roleOf(row, index).role === "activation",
    );
  }
}

/** Parameters that a function's result always has. */
function fixedOf(node: Node, operator: Node, row: OperatorRow, scheme: Scheme | undefined) {
  if (!scheme) return undefined;
  const own = row.families?.[scheme.family]?.fixed?.[node.dtype];
  if (own) return own;
  const kind = specialKindOf(operator);
  return kind !== null && kind !== "integer" ? scheme.activation.fixed[kind] : undefined;
}

function rangeRule(scheme: Scheme | undefined): string {
  if (!scheme) return "its scale is the range divided by the steps of the dtype.";
  const { symmetric, low, high } = scheme.activation;
  if (symmetric) return `scale = largest |value| / ${high}, zero point 0.`;
  return `scale = (largest − least) / ${high - low}, and a zero point that makes 0 exact.`;
}

function quantizerText(node: Node, quantizer: Quantizer | undefined): string {
  const { scale, axis, blocks } = node.quant!;
  const where = blocks
    ? `one scale for each ${blocks.size} values of a row`
    : scale.length > 1
      ? `one scale for each of ${scale.length} channels along axis ${axis}`
      : "one scale for all";
  if (!quantizer || quantizer.dtype !== node.dtype) return `${node.dtype}, ${where}.`;
  const { symmetric, low, high } = quantizer;
  return `${where}, ${symmetric ? `largest |value| / ${high}, zero point 0` : `(largest − least) / ${high - low}, and a zero point that makes 0 exact`}.`;
}

/** "1/256", where it is one. */
function fraction(scale: number): string {
  const over = 1 / scale;
  return Math.abs(over - Math.round(over)) < 1e-3 ? `1/${Math.round(over)}` : String(scale);
}
