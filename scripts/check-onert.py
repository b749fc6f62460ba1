#!/usr/bin/env python3
"""Does what `minmaxq quantize --target onert` writes run on ONE's runtime, and with the numbers that are predicted?

    pip install onert ai-edge-litert numpy [circle-schema flatbuffers]
    python3 scripts/check-onert.py MODEL… [--samples 2] [--minmaxq dist/minmaxq]
    python3 scripts/check-onert.py --each MODEL DATA.npz|.npy

To be run by hand: it needs both native runtimes, the tests do not. Every MODEL (.tflite or .circle with recorded ranges, or random samples
where it has none) is quantized for onert, run there, and compared with its fake-quantized float model in LiteRT. Fails where onert refuses
what minmaxq wrote, or where a value is more than 2 steps off: a step for each operator's own rounding, which later operators make larger.
So for deep models there is --each: every operator is cut out as a model of its own and fed with what onert gave for the operators before
it. None may be more than a step off, and the end of this chain has to be what onert gives for the whole model.
"""
import argparse
import collections
import json
import multiprocessing
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from litert import cut

ROOT = pathlib.Path(__file__).resolve().parent.parent
INTEGERS = {"UINT8": np.uint8, "INT8": np.int8, "INT32": np.int32, "INT64": np.int64, "BOOL": np.bool_}


def on_onert(path, samples, answers):
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        from onert.native.libnnfw_api_pybind import infer, prepare_config

        session = infer.nnfw_session(path, "cpu")
        session.set_prepare_config(prepare_config.ENABLE_INTERNAL_OUTPUT_ALLOC)
        session.prepare()
        outputs = []
        for sample in samples:
            fed = [np.ascontiguousarray(values) for values in sample]  # onert keeps pointers, not arrays
            for i, values in enumerate(fed):
                session.set_input(i, values)
            session.run()
            outputs.append([np.array(session.get_output(i)) for i in range(session.output_size())])
        answers.put(outputs)
    except Exception as error:  # whatever it is, it is the answer
        answers.put(str(error).split("\n")[-1])


def in_process(path, samples):
    """onert ends the process where it should give an error."""
    answers = multiprocessing.Queue()
    child = multiprocessing.Process(target=on_onert, args=(path, samples, answers))
    child.start()
    try:
        return answers.get(timeout=120)
    except Exception:
        return "crashes, or takes more than two minutes"
    finally:
        child.kill()
        child.join()


def on_litert(path, samples):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_path=path, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    interpreter.allocate_tensors()
    outputs = []
    for sample in samples:
        for detail, values in zip(interpreter.get_input_details(), sample):
            interpreter.set_tensor(detail["index"], values.astype(detail["dtype"]))
        interpreter.invoke()
        outputs.append([interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()])
    return outputs


class Minmaxq:
    def __init__(self, path):
        self.path = path

    def __call__(self, *words):
        done = subprocess.run([self.path, *words], capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr.strip().replace("\n", " ")

    def tensors(self, model, which):
        graph = json.loads(self("inspect", "--json", model)[1])["subgraphs"][0]
        return [graph["tensors"][i] for i in graph[which]]


def quantized(values, tensor):
    if not tensor.get("scale"):
        return values
    q = np.rint(values.astype(np.float64) / tensor["scale"][0]) + tensor["zeroPoint"][0]
    return np.clip(q, 0, 255).astype(np.uint8)


def floats(values, tensor):
    values = values.astype(np.float64)
    return (values - tensor["zeroPoint"][0]) * tensor["scale"][0] if tensor.get("scale") else values


def sqnr(wanted, got):
    noise = ((wanted - got) ** 2).sum()
    return 10 * np.log10((wanted**2).sum() / noise) if noise > 0 else np.inf


def made_up(tensor, random):
    shape = [max(1, dim) for dim in tensor["shape"]]
    if tensor["dtype"] != "FLOAT32":
        return random.integers(0, 2, shape).astype(INTEGERS[tensor["dtype"]])
    low, high = (tensor["min"][0], tensor["max"][0]) if tensor.get("min") else (-1, 1)
    return random.uniform(low, high, shape).astype(np.float32)


def check(minmaxq, model, count, folder):
    """None when all is well, else what is not; prints what was measured."""
    out, fake, plain = (os.path.join(folder, name) for name in ("q.circle", "fake.tflite", "plain.tflite"))
    words = ["quantize", model, "--target", "onert", "-o", out, "--force"]
    code, _, said = minmaxq(*words)
    if code != 0 and "no recorded range" in said:
        code, _, said = minmaxq(*words, "--data", "random:8")
    if code != 0:
        print(f"  named by minmaxq: {said[:160]}")
        return None
    random = np.random.default_rng(7)
    samples = [[made_up(tensor, random) for tensor in minmaxq.tensors(model, "inputs")] for _ in range(count)]
    inputs, outputs = minmaxq.tensors(out, "inputs"), minmaxq.tensors(out, "outputs")
    got = in_process(out, [[quantized(v, t) for v, t in zip(sample, inputs)] for sample in samples])
    if isinstance(got, str):
        return f"onert: {got}"
    if minmaxq("fake-quantize", out, "-o", fake, "--force")[0] or minmaxq("convert", model, "-o", plain, "--force")[0]:
        print("  runs; no prediction")
        return None
    try:
        predicted, float_ = on_litert(fake, samples), on_litert(plain, samples)
    except Exception as error:
        print(f"  runs; LiteRT: {str(error)[:80]}")
        return None
    worst = 0
    for i, tensor in enumerate(outputs):
        a, b, c = (np.concatenate([floats(sample[i], t).ravel() for sample in all_]) for all_, t in ((got, tensor), (predicted, {}), (float_, {})))
        apart = np.abs(a - b).max() if a.size and np.isfinite(b).all() else 0
        steps = apart / (tensor["scale"][0] if tensor.get("scale") else max(np.abs(b).max(), 1e-6) / 255)
        print(f"  {tensor['name']}: {steps:.2f} steps; {sqnr(c, a):.1f} dB, predicted {sqnr(c, b):.1f}")
        worst = max(worst, steps)
    return f"{worst:.1f} steps off" if worst > 2.01 else None


def cut_out(source, position, used_values):
    """A model of one operator; the tensors in `used_values` that it reads are its inputs. Gives the model's bytes, inputs and outputs."""
    import flatbuffers
    from circle_schema.v0_10.circle import Model

    model = Model.ModelT.InitFromPackedBuf(bytearray(source), 0)
    inputs, outputs = cut.alone(model, position, used_values)
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), file_identifier=b"CIR0")
    return builder.Output(), inputs, outputs


def check_each(minmaxq, path, data, folder):
    """None when every operator is within a step, else what is not."""
    out, one, fake = (os.path.join(folder, name) for name in ("q.circle", "one.circle", "one.tflite"))
    code, _, said = minmaxq("quantize", path, "--target", "onert", "--data", data, "-o", out)
    if code != 0:
        return said
    graph = json.loads(minmaxq("inspect", "--json", out)[1])["subgraphs"][0]
    tensors = graph["tensors"]
    loaded = np.load(data)
    arrays = [loaded] if data.endswith(".npy") else [loaded[name] for name in loaded.files]
    values = {
        i: quantized(array[0].reshape(tensors[i]["shape"]), tensors[i]) for i, array in zip(graph["inputs"], arrays)
    }
    whole = in_process(out, [[values[i] for i in graph["inputs"]]])
    worst, off, all_ = (collections.defaultdict(float) for _ in range(3))
    source = pathlib.Path(out).read_bytes()
    for position, operator in enumerate(graph["operators"]):
        content, inputs, outputs = cut_out(source, position, values)
        pathlib.Path(one).write_bytes(content)
        got = in_process(one, [[values[i] for i in inputs]])
        if isinstance(got, str):
            return f"onert, operator {position} ({operator['op']}): {got}"
        for i, result in zip(outputs, got[0]):
            values[i] = result.reshape(tensors[i]["shape"])
        if minmaxq("fake-quantize", one, "-o", fake, "--force")[0]:
            continue  # a Dequantize: nothing is rounded
        fed = [floats(values[i], tensors[i]).astype(np.float32) for i in inputs]
        for i, wanted in zip(outputs, on_litert(fake, [fed])[0]):
            apart = np.abs(wanted.ravel() - floats(values[i], tensors[i]).ravel())
            steps = apart / (tensors[i]["scale"][0] if tensors[i].get("scale") else 1)
            kind = operator["op"]
            worst[kind] = max(worst[kind], steps.max())
            off[kind] += (steps > 0.5).sum()
            all_[kind] += steps.size
    for kind, steps in sorted(worst.items()):
        print(f"  {kind}: {steps:.2f} steps; {off[kind]:.0f} of {all_[kind]:.0f} values differ")
    if any((values[i].ravel() != result.ravel()).any() for i, result in zip(graph["outputs"], whole[0])):
        return "the whole model gives something else than its operators one by one"
    wrong = [kind for kind, steps in worst.items() if steps > 1.01]
    return f"more than a step off: {', '.join(wrong)}" if wrong else None


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("models", nargs="+")
    arguments.add_argument("--samples", type=int, default=2)
    arguments.add_argument("--minmaxq", default=str(ROOT / "dist/minmaxq"))
    arguments.add_argument("--each", action="store_true", help="MODEL DATA: every operator on its own")
    given = arguments.parse_args()
    if given.each:
        with tempfile.TemporaryDirectory() as folder:
            problem = check_each(Minmaxq(given.minmaxq), *given.models, folder)
        sys.exit(problem)
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        for model in given.models:
            print(model)
            problem = check(Minmaxq(given.minmaxq), model, given.samples, folder)
            if problem:
                wrong.append(f"{model}: {problem}")
                print(f"  WRONG: {problem}")
    print(f"{len(given.models)} models, {len(wrong)} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
