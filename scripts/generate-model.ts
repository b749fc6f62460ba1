/**
 * Makes a model of about a given size, for benchmarks.
 *
 *     bun run scripts/generate-model.ts 100MB model.circle
 *     bun run scripts/generate-model.ts 6GB model.circle --sparse     holes for weights: takes next to no disk
 *
 * An image network as they are built: strided CONV_2D layers, residual blocks of 3×3 and 1×1 CONV_2D (with bias and
 * RELU) until the size is reached, MEAN, FULLY_CONNECTED layers, SOFTMAX. Every activation has recorded ranges. A name
 * that ends in .tflite gives that format. The same size gives the same bytes. Weights are made while they are written, so memory stays small whatever the size.
 */

import { MinmaxqError } from "../src/base/errors.ts";
import { type Content, rangeOf } from "../src/model/bytes.ts";
import {
  ActivationFunctionType,
  type Buffer,
  BuiltinOperator,
  type BuiltinOptions,
  type Deferred,
  type Fill,
  type Operator,
  Padding,
  type Tensor,
  TensorType,
  writeModel,
} from "../src/model/index.ts";
import { parseSize } from "../src/options/sizes.ts";

const SEED = 0x9e3779b9;
/** Weights are made in pieces of this many floats. */
const PIECE = 1 << 20;
/** Bytes of each constant that a sparse model has. */
const SPARSE_BYTES = 4096;
/** Side of the input image, and of the feature maps of the blocks. */
const IMAGE = 224;
const STRIDES = 4;
const CLASSES = 1000;

export { parseSize };

/**
 * Writes a model of about `size` bytes to `path`. At least some 300 KB come out. Of a `sparse` one only the first floats of each
 * constant are written; the rest are holes of the file, which read as zeros.
 */
export async function generateModel(size: number, path: string, sparse = false): Promise<void> {
  const network = new Network(sparse);
  // Widths grow with the model, as they do in families of networks.
  const width = size < 10e6 ? 64 : size < 400e6 ? 256 : 512;
  const hidden = Math.max(64, Math.round(Math.sqrt(size / 20) / 64) * 64);

  let x = network.activation("input", [1, IMAGE, IMAGE, 3], -1, 1);
  const input = x;
  for (let stage = 1; stage <= STRIDES; stage++) x = network.conv(`stem${stage}`, x, width >> (STRIDES - stage), 3, 2);
  const head = 4 * (width * hidden + hidden * hidden + hidden * CLASSES);
  for (let block = 1; network.bytes + head < size; block++) {
    const inner = network.conv(`block${block}/conv1`, x, width, 3, 1);
    x = network.add(`block${block}/add`, x, network.conv(`block${block}/conv2`, inner, width, 1, 1));
  }
  x = network.mean("pool", x);
  x = network.fullyConnected("head/fc1", x, hidden, ActivationFunctionType.RELU);
  x = network.fullyConnected("head/fc2", x, hidden, ActivationFunctionType.RELU);
  x = network.fullyConnected("head/logits", x, CLASSES, ActivationFunctionType.NONE);
  await network.write(path, input, network.softmax("probabilities", x));
}

/** Tensors and operators of the model under construction; methods add an operator and give its result's index. */
class Network {
  /** Weight bytes so far. */
  bytes = 0;
  private readonly tensors: Tensor[] = [];
  private readonly buffers: Buffer[] = [{}];
  private readonly operators: Operator[] = [];
  private readonly codes: BuiltinOperator[] = [];
  /** Largest magnitude of the weights of each deferred buffer. */
  private readonly limits = new Map<Deferred, number>();

  constructor(private readonly sparse: boolean) {}

  activation(name: string, shape: readonly number[], min: number, max: number): number {
    const quantization = { min: Float32Array.of(min), max: Float32Array.of(max) };
    return this.tensors.push({ name, shape: Int32Array.from(shape), quantization }) - 1;
  }

  conv(name: string, input: number, channels: number, kernel: number, stride: number): number {
    const [, side, , depth] = this.shape(input) as [number, number, number, number];
    const fan = kernel * kernel * depth;
    const weights = this.random(`${name}/weights`, [channels, kernel, kernel, depth], Math.sqrt(6 / fan));
    const bias = this.random(`${name}/bias`, [channels], 0.1);
    const result = this.activation(name, [1, side / stride, side / stride, channels], 0, this.someMax());
    return this.operator(BuiltinOperator.CONV_2D, [input, weights, bias], result, {
      type: "Conv2DOptions",
      value: {
        padding: Padding.SAME,
        strideW: stride,
        strideH: stride,
        fusedActivationFunction: ActivationFunctionType.RELU,
      },
    });
  }

  fullyConnected(name: string, input: number, outputs: number, activation: ActivationFunctionType): number {
    const depth = this.shape(input).at(-1)!;
    const weights = this.random(`${name}/weights`, [outputs, depth], Math.sqrt(6 / depth));
    const bias = this.random(`${name}/bias`, [outputs], 0.1);
    const max = this.someMax();
    const min = activation === ActivationFunctionType.RELU ? 0 : -max;
    const result = this.activation(name, [1, outputs], min, max);
    return this.operator(BuiltinOperator.FULLY_CONNECTED, [input, weights, bias], result, {
      type: "FullyConnectedOptions",
      value: { fusedActivationFunction: activation },
    });
  }

  add(name: string, left: number, right: number): number {
    const result = this.activation(name, this.shape(left), 0, this.someMax());
    return this.operator(BuiltinOperator.ADD, [left, right], result, { type: "AddOptions", value: {} });
  }

  mean(name: string, input: number): number {
    const axes = rangeOf(new Uint8Array(Int32Array.of(1, 2).buffer));
    const constant = this.constant(`${name}/axes`, [2], TensorType.INT32, axes);
    const result = this.activation(name, [1, this.shape(input).at(-1)!], 0, this.someMax());
    return this.operator(BuiltinOperator.MEAN, [input, constant], result, {
      type: "ReducerOptions",
      value: { keepDims: false },
    });
  }

  softmax(name: string, input: number): number {
    const result = this.activation(name, this.shape(input), 0, 1);
    return this.operator(BuiltinOperator.SOFTMAX, [input], result, { type: "SoftmaxOptions", value: { beta: 1 } });
  }

  async write(path: string, input: number, output: number): Promise<void> {
    const dialect = path.endsWith(".tflite") ? "tflite" : "circle";
    const model = {
      version: dialect === "tflite" ? 3 : 0,
      description: "made by minmaxq's scripts/generate-model.ts",
      operatorCodes: this.codes.map((builtinCode) => ({ builtinCode })),
      buffers: this.buffers,
      subgraphs: [
        {
          tensors: this.tensors,
          operators: this.operators,
          inputs: Int32Array.of(input),
          outputs: Int32Array.of(output),
        },
      ],
    };
    await writeModel(model, path, { dialect, fill: this.fill });
  }

  private readonly fill: Fill = async (target, placed) => {
    let state = SEED;
    const piece = new Float32Array(PIECE);
    for (const { content, offset } of placed) {
      const factor = this.limits.get(content)! / 2 ** 31;
      const written = this.sparse ? Math.min(content.length, SPARSE_BYTES) : content.length;
      for (let done = 0; done < written; done += piece.byteLength) {
        const floats = piece.subarray(0, Math.min(PIECE, (written - done) / 4));
        for (let i = 0; i < floats.length; i++) {
          // xorshift32: quick, seeded, and good enough for weights without a meaning.
          state ^= state << 13;
          state ^= state >>> 17;
          state ^= state << 5;
          floats[i] = state * factor;
        }
        target.write(new Uint8Array(floats.buffer, 0, floats.byteLength), offset + done);
        // Ctrl-C is heard between pieces.
        await new Promise((resume) => setImmediate(resume));
      }
    }
  };

  private shape(tensor: number): readonly number[] {
    return [...this.tensors[tensor]!.shape!];
  }

  /** Some range's end, different for each tensor. */
  private someMax(): number {
    return 1 + ((this.tensors.length * 37) % 101) / 10;
  }

  private random(name: string, shape: readonly number[], limit: number): number {
    const content: Deferred = { deferred: true, length: 4 * shape.reduce((a, b) => a * b, 1) };
    this.limits.set(content, limit);
    this.bytes += content.length;
    return this.constant(name, shape, TensorType.FLOAT32, content);
  }

  private constant(name: string, shape: readonly number[], type: TensorType, data: Content): number {
    const buffer = this.buffers.push({ data }) - 1;
    return this.tensors.push({ name, shape: Int32Array.from(shape), type, buffer }) - 1;
  }

  private operator(code: BuiltinOperator, inputs: number[], result: number, builtinOptions: BuiltinOptions): number {
    if (!this.codes.includes(code)) this.codes.push(code);
    const opcodeIndex = this.codes.indexOf(code);
    this.operators.push({
      opcodeIndex,
      inputs: Int32Array.from(inputs),
      outputs: Int32Array.of(result),
      builtinOptions,
    });
    return result;
  }
}

if (import.meta.main) {
  const [size, path, sparse] = process.argv.slice(2);
  try {
    if (size === undefined || path === undefined || (sparse !== undefined && sparse !== "--sparse")) {
      throw new MinmaxqError("usage: bun run scripts/generate-model.ts SIZE OUT [--sparse] (SIZE like 100MB or 1GiB)");
    }
    await generateModel(parseSize(size), path, sparse !== undefined);
  } catch (error) {
    if (!(error instanceof MinmaxqError)) throw error;
    console.error(error.message);
    process.exit(1);
  }
}
