/** An LSTM in integers as TFLite's converter makes them: int8 input, weights and result, int16 cell state, two steps. */
import { model, quantized, quantizedAs } from "./models.ts";

export function int8Lstm() {
  const [inputs, cells] = [3, 4];
  const made = model(["x"], ["y"], (graph) => {
    const weights = (name: string, columns: number, seed: number) => {
      const values = Int8Array.from({ length: cells * columns }, (_, i) => ((i * 37 + seed * 11) % 255) - 127);
      graph.constant(name, [cells, columns], values, quantizedAs("INT8", [0.01], [0]));
      return name;
    };
    graph.tensor("x", [1, 2, inputs], "INT8", quantized(0.01, 3));
    const gates = [0, 1, 2, 3];
    const ofInput = gates.map((gate) => weights(`input${gate}`, inputs, gate));
    const ofState = gates.map((gate) => weights(`state${gate}`, cells, gate + 4));
    const biases = gates.map((gate) => {
      graph.constant(`bias${gate}`, [cells], Int32Array.of(100, -200, 300, 50), quantizedAs("INT32", [0.0001], [0]));
      return `bias${gate}`;
    });
    graph
      .tensor("h", [1, cells], "INT8", { ...quantized(1 / 128, 0), isVariable: true })
      .tensor("c", [1, cells], "INT16", { ...quantized(2 ** -11, 0), isVariable: true })
      .tensor("y", [1, 2, cells], "INT8", quantized(1 / 128, 0));
    const first = graph.tensors.length;
    for (const gate of gates) graph.tensor(`gate${gate}`, [], "INT16", quantized(2 ** -12, 0));
    graph.tensor("hidden", [], "INT8", quantized(1 / 128, 0));
    const none = (count: number) => Array.from({ length: count }, () => "");
    const operands = ["x", ...ofInput, ...ofState, ...none(3), ...biases, ...none(2), "h", "c", ...none(4)];
    graph.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", operands, ["y"], {
      type: "UnidirectionalSequenceLSTMOptions",
      value: { fusedActivationFunction: 4 },
    });
    graph.operators[0]!.intermediates = Int32Array.from([0, 1, 2, 3, 4], (i) => first + i);
  });
  // ai-edge-litert 2.3 gives this of the int8 model; the WASM build has no states.
  const litert = [64, -7, -26, 10, 17, -9, 38, -12];
  const integers = Array.from({ length: 2 * inputs }, (_, i) => ((i * 53) % 200) - 100);
  return { made, inputs, cells, integers, litert };
}
