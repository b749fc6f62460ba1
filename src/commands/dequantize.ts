/** `minmaxq dequantize`: a quantized model as a float one, by its scales. */

import { FileError } from "../base/errors.ts";
import { counted, indented } from "../base/text.ts";
import { dequantizeModel } from "../passes/transform/dequantize.ts";
import { transformCommand } from "./transform.ts";

export const dequantize = transformCommand({
  name: "dequantize",
  summary: "turn a quantized model into a float one by its scales",
  options: ["keepRanges", "strict"],
  examples: [
    "minmaxq dequantize model.int8.tflite -o model.float.tflite",
    "minmaxq dequantize model.int8.tflite --keep-ranges -o model.float.circle",
    "minmaxq quantize model.float.circle -o model.uint8.circle",
  ],
  change(space, { keepRanges, strict }) {
    const { activations, constants, removed, activated, kept } = dequantizeModel(space, keepRanges === true);
    const { name } = space.opened.source;
    const isDone = activations + constants + removed > 0;
    if (!isDone && kept.length === 0)
      throw new FileError(name, "has nothing quantized; there is nothing to do", { code: "not-quantized" });
    if (kept.length > 0 && (strict || !isDone)) {
      const remedy = strict ? "; leave out --strict to keep them quantized" : ", and nothing else to do";
      const text = `has ${counted(kept.length, "operator")} that cannot be dequantized${remedy}`;
      throw new FileError(name, `${text}:\n${indented(kept)}`, { code: "stays-quantized" });
    }
    return [
      `${counted(activations, "activation")} and ${counted(constants, "constant")} to float32`,
      ...(removed > 0 ? [`${removed} QUANTIZE or DEQUANTIZE removed`] : []),
      ...(activated > 0
        ? [`${counted(activated, "operator")} given the RELU that the limits of integers had been`]
        : []),
      ...(kept.length > 0
        ? [`${counted(kept.length, "operator")} ${kept.length === 1 ? "stays" : "stay"} quantized`]
        : []),
    ].join(", ");
  },
});
