"""Whether `minmaxq fm-equalize` leaves the float function as it was, run by LiteRT itself, which knows nothing of ours.

    bun run build
    pip install ai-edge-litert numpy
    python3 scripts/check-fm-equalize.py MODEL.tflite ...

For each model: how many tensors were scaled, and of each output the largest difference against its largest value, and the SQNR in dB. Samples are
random, 0 to 1. Exit code 1 where a difference is above 1e-5.
"""

import os
import subprocess
import sys
import tempfile

import numpy as np
from ai_edge_litert.interpreter import Interpreter

MINMAXQ = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "dist", "minmaxq")
LIMIT = 1e-5
SAMPLES = 3


def results(path, samples):
    """One list of outputs a sample; `samples` has one array an input."""
    interpreter = Interpreter(path, num_threads=1)
    interpreter.allocate_tensors()
    found = []
    for sample in samples:
        for detail, value in zip(interpreter.get_input_details(), sample):
            interpreter.set_tensor(detail["index"], value)
        interpreter.invoke()
        found.append([interpreter.get_tensor(each["index"]).astype(np.float64) for each in interpreter.get_output_details()])
    return found


def check(model, folder):
    random = np.random.default_rng(0)
    shapes = [each["shape"] for each in Interpreter(model).get_input_details()]
    samples = [[random.random(shape, dtype=np.float32) for shape in shapes] for _ in range(SAMPLES)]
    data, equalized, tflite = (os.path.join(folder, name) for name in ("data.npz", "equalized.circle", "equalized.tflite"))
    np.savez(data, *[np.concatenate(each) for each in zip(*samples)])
    run = lambda *words: subprocess.run([MINMAXQ, *words], check=True, capture_output=True, text=True).stdout.strip()
    said = run("fm-equalize", "-i", model, "-o", equalized, "-d", data, "--data_format", "npz")
    run("convert", equalized, "-o", tflite, "--force")
    print(f"{os.path.basename(model)}: {said.split(': ')[-1]}")
    worst = 0.0
    before, after = results(model, samples), results(tflite, samples)
    for output in range(len(before[0])):
        a, b = (np.concatenate([each[output].ravel() for each in all_]) for all_ in (before, after))
        difference = np.abs(a - b).max() / np.abs(a).max()
        error = ((a - b) ** 2).sum()
        print(f"  output {output}: {difference:.1e} of the largest value, " + (f"{10 * np.log10((a**2).sum() / error):.1f} dB" if error else "equal"))
        worst = max(worst, difference)
    return worst


if len(sys.argv) < 2:
    sys.exit(__doc__)
with tempfile.TemporaryDirectory() as place:
    failed = [model for model in sys.argv[1:] if not check(model, place) <= LIMIT]
if failed:
    sys.exit(f"the function has changed: {', '.join(failed)}")
