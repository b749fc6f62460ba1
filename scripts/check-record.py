#!/usr/bin/env python3
"""Compares minmaxq's recorded ranges with those the native LiteRT interpreter gives, for real models on real data.

    pip install ai-edge-litert numpy
    python3 scripts/check-record.py [--shared ../shared]

To be run by hand: it needs the native interpreter, the tests do not. For every model of SHARED/models and its data in
SHARED/calibration it keeps every float32 tensor (experimental_preserve_all_tensors), takes minima and maxima a record as
reference §7.3 says, and compares them, record by record, with what `recordSamples` gives. Prints the largest difference as a part
of the tensor's range; fails above 1e-4.

Native LiteRT lacks MediaPipe's Convolution2DTransposeBias (in selfie_segmentation): such a model is cut there, its parts are run one
after the other, and the operator itself is computed here with NumPy.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

ROOT = pathlib.Path(__file__).resolve().parent.parent
FLT_MAX = np.finfo(np.float32).max
CASES = {
    "face_detection_short_range": "face_128.npz",
    "hand_landmark_lite": "hand_224.npz",
    "iris_landmark": "iris_64.npz",
    "pose_detection": "pose_224.npz",
    "selfie_segmentation": "selfie_256.npy",
}

OURS = """
import { openModel } from "./src/model/index.ts";
import { inputSpecs, openDataSet, recordSamples } from "./src/calibration/index.ts";
const [model, data, out] = process.argv.slice(1).filter((a) => !a.startsWith("-")).slice(-3);
const opened = openModel(model);
const samples = await recordSamples(opened.model, await openDataSet(data, inputSpecs(opened.model)), {});
await Bun.write(out, JSON.stringify(samples.map((s) => [s.tensor, s.name, [...s.mins], [...s.maxs]])));
"""


def ours(model, data):
    with tempfile.TemporaryDirectory() as folder:
        script = pathlib.Path(folder) / "record.ts"
        script.write_text(OURS.replace('"./src', f'"{ROOT}/src'))
        out = pathlib.Path(folder) / "out.json"
        command = ["npx", "--yes", "bun@1.4.5", "run", str(script), str(model), str(data), str(out)]
        subprocess.run(command, check=True, cwd=ROOT, stderr=subprocess.DEVNULL)
        return {tensor: (name, mins, maxs) for tensor, name, mins, maxs in json.loads(out.read_text())}


def records_of(data):
    stack = np.load(data)
    if hasattr(stack, "files"):
        stack = stack[stack.files[0]]
    return [record[None] for record in stack]


def observe(values):
    kept = values[~np.isnan(values) & (values != -FLT_MAX)]
    return float(kept.min(initial=FLT_MAX)), float(kept.max(initial=-FLT_MAX))


def first_custom(model):
    """Index of the first custom operator, or None."""
    for i, operator in enumerate(model.subgraphs[0].operators):
        if model.operatorCodes[operator.opcodeIndex].customCode:
            return i
    return None


def pack(model):
    import flatbuffers

    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def parts(content):
    """The model cut at its custom operators: (bytes, subgraph tensors read from outside, custom operator after it)."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    if first_custom(model) is None:
        yield content, list(graph.inputs), None
        return
    operators, inputs = graph.operators, list(graph.inputs)
    produced = lambda ops: [t for o in ops for t in o.outputs]
    start = 0
    while start < len(operators):
        custom = next((i for i in range(start, len(operators)) if model.operatorCodes[operators[i].opcodeIndex].customCode), len(operators))
        run = operators[start:custom]
        if run:
            inside = set(produced(run))
            outside = set(inputs) | set(produced(operators[:start]))
            needed = [t for t in dict.fromkeys(t for o in run for t in o.inputs) if t in outside and t not in inside]
            part = schema.ModelT.InitFromPackedBuf(content, 0)
            part.signatureDefs = []
            part.subgraphs[0].operators = [part.subgraphs[0].operators[i] for i in range(start, custom)]
            part.subgraphs[0].inputs = needed
            part.subgraphs[0].outputs = [t for t in produced(run)][-1:]
            yield pack(part), needed, operators[custom] if custom < len(operators) else None
        elif custom < len(operators):
            yield None, [], operators[custom]
        start = custom + 1


def transpose_conv_bias(x, weights, bias, stride=2):
    """MediaPipe's Convolution2DTransposeBias, VALID-like 2x2 stride 2 as in selfie_segmentation: y = conv_transpose(x) + b."""
    n, h, w, _ = x.shape
    out, kh, kw, _ = weights.shape
    y = np.zeros((n, (h - 1) * stride + kh, (w - 1) * stride + kw, out), np.float64)
    for i in range(kh):
        for j in range(kw):
            y[:, i : i + h * stride : stride, j : j + w * stride : stride] += x.astype(np.float64) @ weights[:, i, j].T.astype(np.float64)
    return (y + bias).astype(np.float32)


def theirs(path, records):
    content = path.read_bytes()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    # The interpreter reads the bytes where they are, so they must stay alive.
    pieces = [(blob, needed, custom) for blob, needed, custom in parts(content)]
    interpreters = []
    for blob, _, _ in pieces:
        interpreter = None
        if blob is not None:
            interpreter = Interpreter(
                model_content=blob,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
                experimental_preserve_all_tensors=True,
            )
            interpreter.allocate_tensors()
        interpreters.append(interpreter)
    results = {}
    for record in records:
        values = {graph.inputs[0]: record}
        for (blob, needed, custom), interpreter in zip(pieces, interpreters):
            if interpreter is not None:
                for tensor in needed:
                    interpreter.set_tensor(tensor, values[tensor])
                interpreter.invoke()
                for operator in schema.ModelT.InitFromPackedBuf(blob, 0).subgraphs[0].operators:
                    for tensor in list(operator.inputs) + list(operator.outputs):
                        if tensor >= 0 and tensor not in values:
                            values[tensor] = np.array(interpreter.get_tensor(tensor))
            if custom is not None:
                x, weights, bias = (constant_or(values, graph, model, t) for t in custom.inputs)
                values[custom.outputs[0]] = transpose_conv_bias(x, weights, bias)
        for tensor, value in values.items():
            if value.dtype == np.float32:
                results.setdefault(tensor, []).append(observe(value))
    return results


def constant_or(values, graph, model, tensor):
    if tensor in values:
        return values[tensor]
    description = graph.tensors[tensor]
    kind = {0: np.float32, 1: np.float16}[description.type]
    data = np.asarray(model.buffers[description.buffer].data, np.uint8).tobytes()
    return np.frombuffer(data, kind).reshape(description.shape).astype(np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shared", type=pathlib.Path, default=ROOT.parent / "shared")
    shared = parser.parse_args().shared
    failed = False
    for name, data in CASES.items():
        model = shared / "models" / f"{name}.tflite"
        sample_file = shared / "calibration" / data
        wanted = theirs(model, records_of(sample_file))
        worst, where, missing = 0.0, "", []
        recorded = ours(model, sample_file)
        for tensor, (label, mins, maxs) in recorded.items():
            if tensor not in wanted:
                missing.append(label)
                continue
            lows, highs = zip(*wanted[tensor])
            width = max(highs) - min(lows) or 1.0
            difference = max(np.abs(np.subtract(mins, lows)).max(), np.abs(np.subtract(maxs, highs)).max()) / width
            if difference > worst:
                worst, where = difference, label
        good = worst <= 1e-4 and not missing
        failed |= not good
        print(f"{'ok ' if good else 'BAD'} {name}: {len(recorded)} tensors, largest difference {worst:.2e} of the range ({where}){f', not compared: {missing}' if missing else ''}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
