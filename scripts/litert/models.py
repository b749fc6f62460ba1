"""Whole models under every scheme: do they load and run, and what is left of the float model's outputs?"""
import json
import os
import pathlib
import subprocess

import numpy as np

from . import cases, each, flat, judge, run

FLOAT_IO = ("--input-dtype", "float32", "--output-dtype", "float32")
# What is shown: scheme and further words.
SCHEMES = {
    "int8": (), "int8, float32 in and out": FLOAT_IO, "int16x8": (), "dynamic-int8": (), "weights-int8": (), "weights-float16": (), "weights-int4": (), "dynamic-int4": (),
}  # fmt: skip
ONE = ("uint8", "int16")


def _inputs(content):
    interpreter = run.interpreter_of(content)
    # Open sizes are 1 for the batch and 16 for others: pictures of one pixel make statistics of some models NaN.
    shape = lambda detail: [int(d) if known >= 0 else 16 if i else 1 for i, (d, known) in enumerate(zip(detail["shape"], detail["shape_signature"]))] if len(detail["shape_signature"]) else [int(d) for d in detail["shape"]]
    return [(detail["name"], shape(detail), np.dtype(detail["dtype"])) for detail in interpreter.get_input_details()]


def made_up(inputs, count):
    """float: uniform in −1 … 1; whole numbers: 0 to 9; booleans."""
    r = np.random.default_rng(7)
    data = {}
    for name, shape, dtype in inputs:
        data[name] = (r.uniform(-1, 1, (count, *shape)) if dtype.kind == "f" else r.integers(0, 2 if dtype.kind == "b" else 10, (count, *shape))).astype(dtype)
    return data


def loaded(path, inputs):
    """Arrays of a .npz or .npy by input, a sample first."""
    found = np.load(path)
    arrays = {inputs[0][0]: found} if path.endswith(".npy") else {name: found[name] if name in found.files else found[found.files[i]] for i, (name, _, _) in enumerate(inputs)}
    return arrays


def samples_of(model, content, data, folder, count):
    """The path that minmaxq gets, another with the first samples alone, and these, [sample][input]."""
    inputs = run.apart(_inputs, content)
    stem = pathlib.Path(model).with_suffix("")
    path = data.get(stem.name) or next((f"{stem}{end}" for end in (".npz", ".npy") if os.path.exists(f"{stem}{end}")), None)
    arrays = loaded(path, inputs) if path else made_up(inputs, 16)
    if not path:
        path = os.path.join(folder, f"{stem.name}.npz")
        np.savez(path, **arrays)
    few = os.path.join(folder, f"{stem.name}.few.npz")
    np.savez(few, **{name: array[:count] for name, array in arrays.items()})
    first = [[arrays[name][s] for name, _, _ in inputs] for s in range(min(count, len(next(iter(arrays.values())))))]
    for s in first:  # the batch of one that data files leave out
        for i, (_, shape, _) in enumerate(inputs):
            if s[i].size == int(np.prod(shape)):
                s[i] = s[i].reshape(shape)
    return path, few, first


def case_limit(kind, scheme):
    """Steps that an operator of that kind may be off: what its rows in the table of operators say."""
    return max((case.steps.get(scheme, judge.STEPS) for case in cases.CASES if case.kind == kind), default=judge.STEPS)


def outputs_of(content, samples, resolver):
    """As run.outputs, with integers in and out where the model has them: real numbers come back."""
    model = flat.opened(content)
    graph = model.subgraphs[0]
    inputs, outputs = ([graph.tensors[int(i)] for i in which] for which in (graph.inputs, graph.outputs))
    given = [[flat.encoded(t, x) if flat.is_quantized(t) and x.dtype.kind == "f" else x for t, x in zip(inputs, sample)] for sample in samples]
    got = run.outputs(content, given, resolver, seconds=600)
    return [[flat.dequantized(t, x) if flat.is_quantized(t) else x for t, x in zip(outputs, sample)] for sample in got]


def decibels(wanted, got):
    """Per output; whole numbers and booleans: the share that is equal, in per cent. None without elements."""
    found = []
    for o in range(len(wanted[0])):
        a, b = (np.concatenate([np.ravel(sample[o]) for sample in all_]) for all_ in (wanted, got))
        if a.size != b.size:
            found.append("other shape")
        elif a.size == 0:
            found.append("-")
        elif a.dtype.kind == "f":
            found.append(round(judge.sqnr(a, b), 1) if np.isfinite(np.asarray(b, np.float64)).all() else "not finite")
        else:
            found.append(f"{100 * np.mean(a == b):.0f} % equal")
    return found


def predicted(minmaxq, model, scheme, data, few, folder):
    """ONE's scheme by minmaxq's own prediction, per output, or what it says."""
    out = os.path.join(folder, f"{pathlib.Path(model).stem}.{scheme}.circle")
    said = subprocess.run([minmaxq, "quantize", model, "--scheme", scheme, "--data", data, "-o", out, "--force"], capture_output=True, text=True)
    if said.returncode:
        return said.stderr.strip().split("\n")[0][:200]
    said = subprocess.run([minmaxq, "compare", model, out, "--data", few, "--json"], capture_output=True, text=True)
    if said.returncode:
        return said.stderr.strip().split("\n")[0][:200]
    return [round(o["metrics"]["sqnr"], 1) if isinstance(o.get("metrics", {}).get("sqnr"), (int, float)) else str(o.get("metrics", {}).get("sqnr", "-")) for o in json.loads(said.stdout)["outputs"]]


def check(minmaxq, model, data, folder, count, schemes):
    """Rows of (scheme, results per resolver or problem, operators that are float and that are not)."""
    with open(model, "rb") as file:
        content = file.read()
    rows = []
    try:
        path, few, samples = samples_of(model, content, data, folder, count)
        wanted = outputs_of(content, samples, "builtin")
    except run.Refused as refused:
        return [{"model": model, "scheme": "float", "problem": f"LiteRT does not run the float model: {refused}", "float": True}]
    for name in schemes:
        scheme, words = name.split(",")[0], SCHEMES[name]
        out = os.path.join(folder, f"{pathlib.Path(model).stem}.{name.replace(' ', '').replace(',', '-')}.tflite")
        command = [minmaxq, "quantize", model, "--scheme", scheme, *words, "-o", out, "--force"] + (["--data", path] if scheme in judge.STATIC else [])
        said = subprocess.run(command, capture_output=True, text=True)
        row = {"model": model, "scheme": name}
        rows.append(row)
        if said.returncode:
            row["problem"] = "minmaxq: " + (said.stderr.strip() or said.stdout.strip()).replace("\n", " ")[:300]
            continue
        with open(out, "rb") as file:
            made = file.read()
        row["bytes"] = [len(content), len(made)]
        for resolver in ("default", "builtin"):
            try:
                row[resolver] = decibels(wanted, outputs_of(made, samples, resolver))
            except run.Refused as refused:
                row["problem"] = f"{resolver}: {refused}"
        if scheme in judge.STATIC and "builtin" in row:
            inputs = [flat.opened(made).subgraphs[0].tensors[int(i)] for i in flat.opened(made).subgraphs[0].inputs]
            given = [flat.encoded(t, x) if flat.is_quantized(t) and x.dtype.kind == "f" else x for t, x in zip(inputs, samples[0])]
            try:
                off = each.worst(made, given)
                row["operators"] = off[:8]
                wrong = [f"{kind} {name}: {steps:.0f} steps" for steps, kind, name in off if steps > case_limit(kind, scheme)]
                if wrong:
                    row["problem"] = f"{len(wrong)} operators are off: {'; '.join(wrong[:4])}"
            except run.Refused as refused:
                row["operators"] = [str(refused)]
    for scheme in ONE:
        rows.append({"model": model, "scheme": f"ONE's {scheme}, predicted", "builtin": predicted(minmaxq, model, scheme, path, few, folder)})
    return rows


def _line(found):
    return found if isinstance(found, str) else " ".join(str(x) for x in found[:8]) + (f" … ({len(found)})" if len(found) > 8 else "")


def show(rows, markdown):
    for row in rows:
        size = f"{row['bytes'][1] / row['bytes'][0]:.2f}" if "bytes" in row else ""
        cells = [pathlib.Path(row["model"]).stem, row["scheme"], size, _line(row.get("default", "")), _line(row.get("builtin", "")), row.get("problem", "")]
        print("| " + " | ".join(cells) + " |" if markdown else f"{cells[0]:28} {cells[1]:26} {cells[2]:>5}  {cells[3]:40} {cells[4]:40} {cells[5]}", flush=True)


def run_all(minmaxq, models, data, folder, count, schemes, markdown):
    """Every row of every model; prints them as they come."""
    head = ("model", "scheme", "size", "dB, default kernels", "dB, built-in kernels", "problem")
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head) if markdown else f"{head[0]:28} {head[1]:26} {head[2]:>5}  {head[3]:40} {head[4]:40} {head[5]}")
    rows = []
    for model in models:
        found = check(minmaxq, model, data, folder, count, schemes)
        show(found, markdown)
        rows += found
    return rows
