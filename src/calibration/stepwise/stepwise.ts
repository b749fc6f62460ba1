/** A model that is run operator by operator, in a Worker. */
import { MemoryBytes } from "../../model/bytes.ts";
import { readModel, TensorType } from "../../model/index.ts";
import { knownShape } from "../graph-facts.ts";
import type { Shapes } from "../inputs.ts";
import type { Held, Instance } from "../litert.ts";
import { Interpreter, type SeeValue } from "./interpreter.ts";
import type { Value } from "./stepper.ts";

/** What a worker is to know of it. */
export interface StepsPlan {
  /** The instrumented copy as TFL3. */
  readonly model: SharedArrayBuffer;
  /** State stays from record to record. */
  readonly sequence: boolean;
  /** Bytes that loaded operators may take. */
  readonly room: number;
}

export class Stepwise {
  private readonly interpreter: Interpreter;
  private readonly inputs: readonly { readonly type: TensorType; readonly shape: readonly number[] }[];

  constructor(instance: Instance, { model: bytes, sequence, room }: StepsPlan) {
    const { model } = readModel(new MemoryBytes(new Uint8Array(bytes)));
    const graph = model.subgraphs![0]!;
    this.inputs = Array.from(graph.inputs ?? [], (index) => {
      const tensor = graph.tensors![index]!;
      return { type: tensor.type ?? TensorType.FLOAT32, shape: knownShape(tensor) };
    });
    this.interpreter = new Interpreter(model, instance, sequence, room);
  }

  /** Runs a record; gives the outputs. `shapes`: its inputs' shapes where they are not the declared ones. Throws PlacedError with the number of an operator. */
  run(values: readonly Uint8Array[], see: SeeValue, shapes?: Shapes): Promise<Value[]> {
    const inputs = this.inputs.map(({ type, shape }, i) => ({
      type,
      shape: shapes?.[i] ?? shape,
      bytes: values[i] ?? new Uint8Array(0),
    }));
    return this.interpreter.run(inputs, see);
  }

  /** As an engine's: gives the copy's outputs, which stay until they are released. */
  async hold(values: readonly Uint8Array[], shapes?: Shapes): Promise<Held> {
    const outputs = await this.run(values, () => {}, shapes);
    return {
      look: (output, see) => see(() => outputs[output]!.bytes),
      release() {},
    };
  }

  close(): void {
    this.interpreter.close();
  }
}
