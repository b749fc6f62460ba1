/**
 * WHAT KINDS OF OPERATORS ARE, whatever quantization makes of them: one row per kind that is not an ordinary function of its operands'
 * values whose result has a size known beforehand. (What quantization knows is in operators.ts; which options name subgraphs is in the
 * schema, src/model/subgraph-calls.ts.) A kind without a row is such an ordinary function. test/rules holds the rows to the schema.
 */
import { BuiltinOperator, DIALECTS, nameOf } from "../model/schema.gen.ts";

export interface KindFacts {
  /** It keeps, reads or makes something that lasts from one run to the next: variables, hash tables. */
  readonly lasts?: true;
  /** Its result is drawn by chance. */
  readonly chance?: true;
  /** It runs other subgraphs of the model. */
  readonly calls?: true;
  /** The subgraph that it runs is what it means: its operators may stand in its place. */
  readonly decomposes?: true;
  /** What it does is not in the model: a custom operator. */
  readonly foreign?: true;
  /** It gives its operand in another form: a constant behind it still is a constant. */
  readonly unpacks?: true;
  /**
   * What the size of its results follows from. `values`: from operands' values even where no operand is a shape. `operands`: from operands'
   * sizes alone, although an operand after the first need not be a constant. Absent: as `operands` while all operands after the first are
   * constants; otherwise one of them may be a shape.
   */
  readonly size?: "values" | "operands";
  /** Its first operand is a shape or an axis. */
  readonly shapeFirst?: true;
  /** It takes rows of its first operand. */
  readonly takesRows?: true;
  /** No result is further from 0 than the farthest of its float operands, or a limit of its own: it moves, chooses or negates values. */
  readonly keepsWithin?: true;
  /** With integer weights and float activations LiteRT rounds the activations: which operands these are, and whether a bias may be absent. */
  readonly hybrid?: {
    readonly weights: number;
    readonly activation: number;
    readonly bias?: "optional" | "needed";
  };
}

const lasts: KindFacts = { lasts: true };
const calls: KindFacts = { calls: true, size: "values" };
const chance: KindFacts = { chance: true, size: "values" };
const unpacks: KindFacts = { unpacks: true };
const moves: KindFacts = { keepsWithin: true };
/** Element by element, of operands whose sizes are broadcast. */
const elementwise: KindFacts = { size: "operands" };
const chooses: KindFacts = { size: "operands", keepsWithin: true };
const rows: KindFacts = { size: "operands", takesRows: true, keepsWithin: true };
const fromValues: KindFacts = { size: "values" };

export const KIND_FACTS: Readonly<Partial<Record<keyof typeof BuiltinOperator, KindFacts>>> = {
  ABS: moves,
  ADD: elementwise,
  ADD_N: elementwise,
  ASSIGN_VARIABLE: lasts,
  ATAN2: elementwise,
  BATCH_MATMUL: { hybrid: { weights: 1, activation: 0 }, size: "operands" },
  BATCH_TO_SPACE_ND: moves,
  BITWISE_XOR: elementwise,
  BROADCAST_TO: moves,
  CALL: calls,
  CALL_ONCE: { ...calls, lasts: true },
  CONCATENATION: chooses,
  CONV_2D: { hybrid: { weights: 1, activation: 0, bias: "needed" } },
  CUSTOM: { foreign: true, size: "values" },
  DENSIFY: unpacks,
  DEPTHWISE_CONV_2D: { hybrid: { weights: 1, activation: 0, bias: "optional" } },
  DEPTH_TO_SPACE: moves,
  DEQUANTIZE: unpacks,
  DIV: elementwise,
  DYNAMIC_UPDATE_SLICE: chooses,
  EMBEDDING_LOOKUP: { size: "operands", takesRows: true },
  EQUAL: elementwise,
  EXPAND_DIMS: moves,
  FILL: fromValues,
  FLOOR_DIV: elementwise,
  FLOOR_MOD: elementwise,
  FULLY_CONNECTED: { hybrid: { weights: 1, activation: 0, bias: "optional" } },
  GATHER: rows,
  GATHER_ND: rows,
  GREATER: elementwise,
  GREATER_EQUAL: elementwise,
  HASHTABLE: lasts,
  HASHTABLE_FIND: lasts,
  HASHTABLE_IMPORT: lasts,
  HASHTABLE_SIZE: lasts,
  IF: calls,
  LESS: elementwise,
  LESS_EQUAL: elementwise,
  LOGICAL_AND: elementwise,
  LOGICAL_OR: elementwise,
  MATRIX_DIAG: moves,
  MATRIX_SET_DIAG: chooses,
  MAXIMUM: chooses,
  MINIMUM: chooses,
  MIRROR_PAD: moves,
  MUL: elementwise,
  MULTINOMIAL: chance,
  NEG: moves,
  NON_MAX_SUPPRESSION_V4: fromValues,
  NON_MAX_SUPPRESSION_V5: fromValues,
  NOT_EQUAL: elementwise,
  PACK: chooses,
  PAD: moves,
  PADV2: moves,
  POW: elementwise,
  RANDOM_STANDARD_NORMAL: chance,
  RANDOM_UNIFORM: chance,
  RANGE: fromValues,
  READ_VARIABLE: lasts,
  REDUCE_MAX: moves,
  REDUCE_MIN: moves,
  RELU: moves,
  RELU6: moves,
  RELU_0_TO_1: moves,
  RELU_N1_TO_1: moves,
  RESHAPE: moves,
  RESIZE_NEAREST_NEIGHBOR: moves,
  REVERSE_SEQUENCE: chooses,
  REVERSE_V2: moves,
  RIGHT_SHIFT: elementwise,
  SEGMENT_SUM: fromValues,
  SELECT: chooses,
  SELECT_V2: chooses,
  SLICE: moves,
  SPACE_TO_BATCH_ND: moves,
  SPACE_TO_DEPTH: moves,
  SPLIT: { ...moves, shapeFirst: true },
  SPLIT_V: moves,
  SQUARED_DIFFERENCE: elementwise,
  SQUEEZE: moves,
  STABLEHLO_CASE: calls,
  STABLEHLO_COMPOSITE: { ...calls, decomposes: true },
  STABLEHLO_CUSTOM_CALL: { ...calls, foreign: true },
  STABLEHLO_REDUCE: calls,
  STABLEHLO_REDUCE_WINDOW: calls,
  STABLEHLO_RNG_BIT_GENERATOR: chance,
  STABLEHLO_SCATTER: calls,
  STABLEHLO_SORT: calls,
  STABLEHLO_WHILE: calls,
  STRIDED_SLICE: moves,
  SUB: elementwise,
  TILE: moves,
  TOPK_V2: moves,
  TRANSPOSE: moves,
  TRANSPOSE_CONV: { shapeFirst: true, hybrid: { weights: 1, activation: 2, bias: "optional" } },
  UNIQUE: fromValues,
  UNPACK: moves,
  VAR_HANDLE: lasts,
  WHERE: fromValues,
  WHILE: calls,
};

const ORDINARY: KindFacts = {};

/** The row of a kind, by its number or name. */
export function kindFacts(kind: BuiltinOperator | string): KindFacts {
  return KIND_FACTS[nameOfKind(kind)] ?? ORDINARY;
}

/**
 * Whether its results can be computed beforehand from constants: no state, no chance, no other subgraph, nothing that only unpacks (that is
 * described instead), and a kind that LiteRT has.
 */
export function canBeComputed(kind: BuiltinOperator | string): boolean {
  const { lasts, chance, calls, foreign, unpacks } = kindFacts(kind);
  return !(lasts || chance || calls || foreign || unpacks) && isInLiteRT(kind);
}

/** Kinds that TFLite files can have. Kernels of most STABLEHLO kinds are not in LiteRT's build. */
function isInLiteRT(kind: BuiltinOperator | string): boolean {
  const name = nameOfKind(kind);
  return Object.hasOwn(DIALECTS.tflite.enums.BuiltinOperator!, name) && !name.startsWith("STABLEHLO_");
}

function nameOfKind(kind: BuiltinOperator | string): keyof typeof BuiltinOperator {
  return (typeof kind === "number" ? nameOf(BuiltinOperator, kind) : kind) as keyof typeof BuiltinOperator;
}
