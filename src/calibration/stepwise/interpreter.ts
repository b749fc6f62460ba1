/**
 * Runs a model operator by operator: control flow and variables are ours, everything else is LiteRT's (stepper.ts). For models of which
 * LiteRT cannot show all at once: sizes that are known only while it runs, subgraphs that operators run, state, chance (needs.ts).
 *
 * Sizes are those that LiteRT tells of each result, never those that the file declares. Every tensor is seen, also inside subgraphs, as
 * often as it is computed. State begins anew with each record, unless records are a sequence.
 */
import { isDeferred, rangeOf, readRange } from "../../model/bytes.ts";
import {
  BuiltinOperator,
  type Model,
  nameOf,
  type Operator,
  type SubGraph,
  subgraphCalls,
  TensorType,
} from "../../model/index.ts";
import { kindFacts } from "../../rules/kind-facts.ts";
import { PlacedError } from "../failure.ts";
import { codeOf, constantsOf, isFloat32, knownShape } from "../graph-facts.ts";
import { elementCount } from "../inputs.ts";
import { EngineError, type Instance } from "../litert.ts";
import { STATEFUL_OPERATORS } from "../recurrent/recurrent.ts";
import { sizesFromValues, variableName } from "./needs.ts";
import { type Single, Stepper, type Value } from "./stepper.ts";

/** Told of every float32 result and input, by subgraph and tensor. */
export type SeeValue = (subgraph: number, tensor: number, bytes: Uint8Array) => void;

interface Planned extends Single {
  readonly kind: string;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly calls: readonly number[];
}

interface Body {
  readonly graph: SubGraph;
  readonly constants: ReadonlySet<number>;
  readonly operators: readonly Planned[];
  /** By tensor: the last operator that reads it. */
  readonly last: ReadonlyMap<number, number>;
}

/**
 * How often a record may run subgraphs. A WHILE that never ends would look like a slow model, and so would loops in loops, and subgraphs that each call
 * the next one twice.
 */
const MOST_ROUNDS = 1e5;

export class Interpreter {
  private readonly bodies: readonly Body[];
  private readonly stepper: Stepper;
  private readonly variables = new Map<string, Value>();
  /** What operators left in variable tensors, by subgraph and tensor. */
  private readonly states = new Map<string, Value>();
  private readonly done = new Set<number>();
  private readonly chance = new Set<number>();
  /** Results that follow from constants alone, by subgraph and tensor. */
  private readonly constants = new Map<string, Value>();
  private see: SeeValue = () => {};
  /** Of this record. */
  private rounds = 0;

  /** `model`: the instrumented copy (instrument.ts), with every operator of its subgraphs. `sequence`: state stays between records. */
  constructor(
    private readonly model: Model,
    instance: Instance,
    private readonly sequence: boolean,
    room: number,
  ) {
    this.stepper = new Stepper(model, instance, room);
    let number = 0;
    this.bodies = model.subgraphs!.map((graph) => {
      const constants = constantsOf(model, graph);
      const operators = (graph.operators ?? []).map((operator) => this.planned(graph, operator, number++, constants));
      const last = new Map<number, number>();
      for (const [i, { inputs }] of operators.entries()) for (const tensor of inputs) last.set(tensor, i);
      for (const tensor of graph.outputs ?? []) last.set(tensor, operators.length);
      return { graph, constants, operators, last };
    });
  }

  /** Runs a record. `inputs` are those of the first subgraph with their shapes. Gives its outputs. Throws PlacedError. */
  async run(inputs: readonly Value[], see: SeeValue): Promise<Value[]> {
    this.see = see;
    this.rounds = 0;
    if (!this.sequence) this.reset();
    return this.body(0, inputs, true);
  }

  close(): void {
    this.stepper.close();
  }

  private reset(): void {
    this.variables.clear();
    this.states.clear();
    this.done.clear();
    this.stepper.forget(this.chance);
  }

  private planned(graph: SubGraph, operator: Operator, number: number, constants: ReadonlySet<number>): Planned {
    const code = codeOf(this.model, operator);
    const outputs = Array.from(operator.outputs ?? []).filter((index) => index >= 0);
    const inputs = Array.from(operator.inputs ?? []);
    const variables = [...inputs.keys()].filter((place) => graph.tensors![inputs[place]!]?.isVariable);
    const lower = variables.length > 0 ? STATEFUL_OPERATORS.get(code) : undefined;
    const { chance = false, size } = kindFacts(code);
    if (chance) this.chance.add(number);
    return {
      number,
      operator: { ...(chance ? seeded(operator, number) : operator), outputs: Int32Array.from(outputs) },
      kind: nameOf(BuiltinOperator, code),
      inputs,
      outputs,
      ...(lower && { apart: { lower, states: variables } }),
      calls: subgraphCalls(operator),
      results: [...outputs, ...(lower ? variables.map((place) => inputs[place]!) : [])].map((index) => ({
        tensor: graph.tensors![index]!,
      })),
      sizesFromValues: sizesFromValues(this.model, graph, operator, (index) => constants.has(index)),
      fromAnyValue: size === "values",
      chance,
    };
  }

  /** Runs a subgraph that an operator runs. */
  private async called(by: Planned, number: number, inputs: readonly Value[]): Promise<Value[]> {
    if (this.rounds++ >= MOST_ROUNDS) throw refused(by, `has not ended after ${MOST_ROUNDS} rounds`);
    return this.body(number, inputs);
  }

  private async body(number: number, inputs: readonly Value[], main = false): Promise<Value[]> {
    const { graph, operators, last } = this.bodies[number]!;
    const frame = new Map<number, Value>();
    const set = (tensor: number, value: Value): void => {
      frame.set(tensor, value);
      if (value.bytes.length > 0 && isFloat32(graph.tensors![tensor]!) && value.variable === undefined)
        this.see(number, tensor, value.bytes);
    };
    for (const [i, tensor] of Array.from(graph.inputs ?? []).entries()) {
      if (main) set(tensor, inputs[i]!);
      else frame.set(tensor, inputs[i]!);
    }
    for (const [i, operator] of operators.entries()) {
      const operands = operator.inputs.map((tensor, place) => {
        // A state that nothing was left in yet is zero, of whatever size the operator wants.
        if (operator.apart?.states.includes(place)) return this.states.get(`${number} ${tensor}`) ?? null;
        return tensor < 0 ? null : this.valueOf(number, frame, tensor);
      });
      const results = await this.execute(number, operator, operands);
      for (const [k, tensor] of operator.outputs.entries()) if (results[k]) set(tensor, results[k]);
      for (const [k, place] of (operator.apart?.states ?? []).entries())
        this.states.set(`${number} ${operator.inputs[place]}`, results[operator.outputs.length + k]!);
      for (const tensor of operator.inputs) if (last.get(tensor) === i) frame.delete(tensor);
    }
    return Array.from(graph.outputs ?? [], (tensor) => this.valueOf(number, frame, tensor));
  }

  private valueOf(subgraph: number, frame: ReadonlyMap<number, Value>, tensor: number): Value {
    const value = frame.get(tensor);
    if (value) return value;
    const key = `${subgraph} ${tensor}`;
    const known = this.constants.get(key) ?? this.states.get(key);
    if (known) return known;
    const { graph, constants } = this.bodies[subgraph]!;
    const table = graph.tensors![tensor]!;
    const content = this.model.buffers![table.buffer ?? 0]?.data;
    const shape = knownShape(table);
    if (!constants.has(tensor))
      throw new Error(`tensor ${tensor} of subgraph ${subgraph} is read before it is computed`);
    if (content && isDeferred(content)) throw new Error("a constant without bytes");
    const constant: Value = {
      type: table.type ?? TensorType.FLOAT32,
      shape,
      get bytes() {
        return content ? readRange(content) : new Uint8Array(0);
      },
      constant: content,
    };
    this.constants.set(key, constant);
    return constant;
  }

  private async execute(subgraph: number, planned: Planned, operands: readonly (Value | null)[]): Promise<Value[]> {
    const { kind, operator, calls, outputs } = planned;
    switch (kind) {
      case "SHAPE":
      case "RANK":
        return [ofShape(operands[0]!, this.bodies[subgraph]!.graph.tensors![outputs[0]!]!.type, kind === "RANK")];
      case "VAR_HANDLE":
        return [{ type: TensorType.RESOURCE, shape: [], bytes: new Uint8Array(0), variable: variableName(operator) }];
      case "READ_VARIABLE": {
        const name = operands[0]!.variable!;
        const value = this.variables.get(name);
        if (!value) throw refused(planned, `reads the variable "${name}" before anything assigns it`);
        return [value];
      }
      case "ASSIGN_VARIABLE":
        this.variables.set(operands[0]!.variable!, changing(operands[1]!));
        return [];
      case "CALL_ONCE":
        if (!this.done.has(calls[0]!)) {
          this.done.add(calls[0]!);
          await this.called(planned, calls[0]!, []);
        }
        return [];
      case "CALL":
      case "STABLEHLO_COMPOSITE":
        return this.called(
          planned,
          calls[0]!,
          operands.map((value) => changing(value!)),
        );
      case "IF":
        return this.called(
          planned,
          calls[isTrue(operands[0]!) ? 0 : 1]!,
          operands.slice(1).map((value) => changing(value!)),
        );
      case "WHILE":
      case "STABLEHLO_WHILE": {
        let values = operands.map((value) => changing(value!));
        // The condition counts as a part of its round.
        while (isTrue((await this.body(calls[0]!, values))[0]!))
          values = (await this.called(planned, calls[1]!, values)).map(changing);
        return values;
      }
      default:
        return this.compute(subgraph, planned, operands);
    }
  }

  private async compute(subgraph: number, planned: Planned, operands: readonly (Value | null)[]): Promise<Value[]> {
    const constant =
      !planned.chance && !planned.apart && operands.every((value) => value === null || value.constant !== undefined);
    const keys = planned.outputs.map((tensor) => `${subgraph} ${tensor}`);
    const known = keys.map((key) => this.constants.get(key));
    if (constant && known.every((value) => value !== undefined)) return known as Value[];
    const { tensors } = this.bodies[subgraph]!.graph;
    // Pieces without elements change nothing of what they are put together with; LiteRT would refuse some.
    const joins = planned.kind === "CONCATENATION";
    const full = joins ? operands.filter((value) => value && count(value) > 0) : operands;
    const kept = full.length > 0 ? full : operands;
    const places = kept.map((value) => planned.inputs[operands.indexOf(value)]!);
    try {
      const results = await this.stepper.run(planned, kept, (i) => tensors![places[i]!]!);
      if (!constant) return results;
      const fixed = results.map((value) => ({ ...value, constant: rangeOf(value.bytes) }));
      for (const [i, key] of keys.entries()) this.constants.set(key, fixed[i]!);
      return fixed;
    } catch (error) {
      throw error instanceof EngineError ? new PlacedError(planned.number, error) : error;
    }
  }
}

/** Without a seed LiteRT takes one that is another one in every run; it gets one of its own. */
function seeded(operator: Operator, number: number): Operator {
  const options = operator.builtinOptions;
  if (options?.type !== "RandomOptions") return operator;
  const { seed = 0n, seed2 = 0n } = options.value ?? {};
  if (seed !== 0n || seed2 !== 0n) return operator;
  return { ...operator, builtinOptions: { type: "RandomOptions", value: { seed: BigInt(number + 1), seed2 } } };
}

/** What SHAPE, or RANK, says. */
function ofShape({ shape }: Value, type: TensorType | undefined, rank: boolean): Value {
  const numbers = rank ? [shape.length] : shape;
  const long = type === TensorType.INT64;
  const list = long ? BigInt64Array.from(numbers, BigInt) : Int32Array.from(numbers);
  const bytes = new Uint8Array(list.buffer);
  return { type: long ? TensorType.INT64 : TensorType.INT32, shape: rank ? [] : [numbers.length], bytes };
}

/** The value where it may be another one next time. */
function changing(value: Value): Value {
  const { type, shape, bytes, variable } = value;
  return { type, shape, bytes, variable };
}

function isTrue({ bytes }: Value): boolean {
  return bytes[0] !== 0;
}

function count({ shape }: Value): number {
  return elementCount(shape);
}

function refused({ number }: Planned, reason: string): PlacedError {
  return new PlacedError(number, new EngineError(reason));
}
