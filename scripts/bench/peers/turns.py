"""
minmaxq and litert-quantizer (pip install litert-quantizer==0.11.0 ai-edge-litert) in turns, whole processes; prints the table of docs/performance.md:

    python turns.py MINMAXQ MODELS [GENERATED …]

MODELS: a folder of float .tflite models with one input each. Each is run with 16 and 64 samples; then 40 of them (the list from its beginning,
again and again) as one batch of minmaxq and in one Python process. GENERATED: large models; dynamic int8. The peer asks for signatures, so all models get one.
What it cannot do is left out of the batch.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PEER = Path(__file__).with_name("litert_quantizer_peer.py")
ROUNDS = 3


def with_signature(source: Path, target: Path) -> list[int]:
    """Writes the model with a signature of all inputs and outputs; gives the shape of its input. In a process of its own: a large one's peak
    would count as that of every process that it starts."""
    said = subprocess.run([sys.executable, __file__, "--sign", source, target], check=True, capture_output=True).stdout
    return json.loads(said)


def sign(source: Path, target: Path) -> None:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(source.read_bytes(), 0))
    graph = model.subgraphs[0]

    def named(prefix, tensors):
        maps = []
        for number, tensor in enumerate(tensors):
            each = schema.TensorMapT()
            each.name, each.tensorIndex = f"{prefix}{number}", int(tensor)
            maps.append(each)
        return maps

    signature = schema.SignatureDefT()
    signature.signatureKey = "serving_default"
    signature.subgraphIndex = 0
    signature.inputs, signature.outputs = named("in", graph.inputs), named("out", graph.outputs)
    model.signatureDefs = [signature]
    builder = flatbuffers.Builder(source.stat().st_size + 1_000_000)
    builder.Finish(model.Pack(builder), b"TFL3")
    target.write_bytes(builder.Output())
    print(json.dumps([int(size) for size in graph.tensors[graph.inputs[0]].shape]))


def run(command: list[str]) -> tuple[float, float, float]:
    """Seconds of the clock, of computing, and peak memory in MB, with its processes (of these the largest)."""
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        raise RuntimeError(said.decode().strip().splitlines()[-1])
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000


def turns(what: str, ours: list[str], theirs: list[str]) -> bool:
    """Prints a row; False where the peer cannot do it."""
    run(ours)
    try:
        run(theirs)
    except RuntimeError as error:
        print(f"| {what} | | ends with: {error} | | |", flush=True)
        return False
    rounds = [(run(ours), run(theirs)) for _ in range(ROUNDS)]
    sides = [[sorted(each[side][i] for each in rounds)[ROUNDS // 2] for i in range(3)] for side in (0, 1)]
    text = [f"{wall:.2f} s, {cpu:.2f} s, {memory:.0f} MB" for wall, cpu, memory in sides]
    ratios = [sorted(a[i] / b[i] for a, b in rounds)[ROUNDS // 2] for i in (0, 1)]
    print(f"| {what} | {text[0]} | {text[1]} | {ratios[0]:.2f} | {ratios[1]:.2f} |", flush=True)
    return True


def main(minmaxq: str, folder: str, *generated: str) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print("| | minmaxq: wall, computing, peak memory | litert-quantizer | minmaxq ÷ peer, wall | computing |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as work:
        place = Path(work)
        jobs = []
        for source in sorted(Path(folder).glob("*.tflite")):
            model = place / source.name
            shape = with_signature(source, model)
            able = True
            for count in (16, 64):
                samples = place / f"{source.stem}.{count}.npy"
                values = np.random.default_rng(1).random((count, *shape[1:]), dtype=np.float32)
                np.save(samples, values)
                ours = [minmaxq, "quantize", str(model), "--data", str(samples), "-o", str(place / "ours.tflite")]
                theirs = [sys.executable, str(PEER), str(model), str(samples), str(place / "theirs.tflite")]
                able = able and turns(f"{source.stem}, {count} samples", ours, theirs)
            if able:
                jobs.append((str(model), str(place / f"{source.stem}.16.npy")))
        forty = [jobs[i % len(jobs)] for i in range(40)] if jobs else []
        if forty:
            listed = [
                {"model": model, "data": data, "output": str(place / f"ours{i}.tflite")} for i, (model, data) in enumerate(forty)
            ]
            (place / "jobs.json").write_text(json.dumps({"jobs": listed}))
            (place / "list.json").write_text(json.dumps([[*job, str(place / "theirs.tflite")] for job in forty]))
            ours = [minmaxq, "batch", str(place / "jobs.json"), "--out", work, "--redo"]
            turns("40 of them, 16 samples each", ours, [sys.executable, str(PEER), str(place / "list.json")])
        for path in generated:
            source = Path(path)
            model = place / source.name
            with_signature(source, model)
            ours = [minmaxq, "quantize", str(model), "--scheme", "dynamic-int8", "-o", str(place / "ours.tflite")]
            theirs = [sys.executable, str(PEER), str(model), "-", str(place / "theirs.tflite"), "dynamic"]
            turns(f"{source.stem}, dynamic int8", ours, theirs)
            turns(f"{source.stem}, dynamic int8, not run in LiteRT", [*ours, "--target", "none"], theirs)


if sys.argv[1] == "--sign":
    sign(Path(sys.argv[2]), Path(sys.argv[3]))
else:
    main(*sys.argv[1:])
