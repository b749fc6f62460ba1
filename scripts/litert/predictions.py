"""What `compare` predicts of kernels: every operator of a quantized model, cut out and fed with LiteRT's own results, beside `minmaxq fake-quantize` of it."""
import collections
import os
import subprocess

import numpy as np

from . import cut, flat, models, run


def _cut(content, position, known):
    """A model of one operator. Gives bytes, inputs and outputs."""
    model = flat.opened(content)
    inputs, outputs = cut.alone(model, position, known)
    return flat.written(model), inputs, outputs


def _run(content, fed, resolver):
    interpreter = run.interpreter_of(content, resolver)
    interpreter.allocate_tensors()
    for detail, values in zip(interpreter.get_input_details(), fed):
        interpreter.set_tensor(detail["index"], values.reshape(detail["shape"]).astype(detail["dtype"]))
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def check(minmaxq, model, data, scheme, folder):
    """By kind: most steps off, values off, values. None with a text where it cannot be told."""
    path, one, fake = (os.path.join(folder, name) for name in ("q.tflite", "one.tflite", "fake.tflite"))
    done = subprocess.run([minmaxq, "quantize", model, "--scheme", scheme, "--data", data, "-o", path, "--force"], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().split("\n")[0])
    content = open(path, "rb").read()
    graph = flat.opened(content).subgraphs[0]
    tensors = graph.tensors
    sample = [array[0] for array in models.loaded(data, models._inputs(content)).values()]
    values = {}
    for i, given in zip(graph.inputs, sample):
        tensor = tensors[int(i)]
        codes = flat.encoded(tensor, given.reshape(tensor.shape)) if flat.is_quantized(tensor) else given
        values[int(i)] = np.reshape(codes, tensor.shape)
    found = collections.defaultdict(lambda: [0.0, 0, 0])
    for position, _ in enumerate(graph.operators):
        kind = flat.kind_of(flat.opened(content), graph.operators[position])
        one_model, inputs, outputs = _cut(content, position, values)
        try:
            got = _run(one_model, [values[i] for i in inputs], "default")
        except Exception as error:
            print(f"  stopped at operator {position} ({kind}): {str(error).split(chr(10))[0][:90]}")
            break
        values.update(zip(outputs, got))
        with open(one, "wb") as file:
            file.write(one_model)
        if subprocess.run([minmaxq, "fake-quantize", one, "-o", fake, "--force"], capture_output=True).returncode:
            continue  # nothing is rounded
        fed = [flat.dequantized(tensors[i], values[i]) if flat.is_quantized(tensors[i]) else values[i] for i in inputs]
        wanted = _run(open(fake, "rb").read(), [np.asarray(each, np.float32) for each in fed], "builtin")
        for i, each in zip(outputs, wanted):
            if not flat.is_quantized(tensors[i]):
                continue
            scale = float(flat.scales_of(tensors[i])[0])
            off = np.abs(flat.dequantized(tensors[i], values[i]).ravel() - each.ravel()) / scale
            row = found[kind]
            row[0] = max(row[0], float(off.max(initial=0)))
            row[1] += int((off > 0.5).sum())
            row[2] += off.size
    return found


def run_all(minmaxq, paths, data, schemes, folder):
    """Whether no result is more than a step off; prints what was found."""
    good = True
    for path in paths:
        stem = os.path.splitext(os.path.basename(path))[0]
        for scheme in schemes:
            print(f"{stem} {scheme}")
            for kind, (most, off, count) in sorted(check(minmaxq, path, data[stem], scheme, folder).items()):
                good = good and most < 1.01
                print(f"  {'ok  ' if most < 1.01 else 'FAIL'} {kind}: {most:.2f} steps; {off} of {count} values differ", flush=True)
    return good
