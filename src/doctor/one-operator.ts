/** The smallest model that says whether LiteRT works: x FLOAT32 [4] ─▶ ABS ─▶ y. */
import { BuiltinOperator, type Model, serializeModel, TensorType } from "../model/index.ts";

/** It as a .tflite file. */
export function oneOperatorModel(): Promise<Uint8Array> {
  const tensor = (name: string) => ({ name, type: TensorType.FLOAT32, shape: Int32Array.of(4), buffer: 0 });
  const model: Model = {
    version: 3,
    description: "minmaxq doctor",
    buffers: [{}],
    operatorCodes: [{ builtinCode: BuiltinOperator.ABS, version: 1 }],
    subgraphs: [
      {
        tensors: [tensor("x"), tensor("y")],
        inputs: Int32Array.of(0),
        outputs: Int32Array.of(1),
        operators: [{ opcodeIndex: 0, inputs: Int32Array.of(0), outputs: Int32Array.of(1) }],
      },
    ],
  };
  return serializeModel(model, { dialect: "tflite" });
}
