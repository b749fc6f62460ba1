"""
litert-quantizer (pip install litert-quantizer==0.11.0) on models that have a signature, as a whole process:

    python litert_quantizer_peer.py MODEL.tflite SAMPLES.npy OUT.tflite            static int8, samples along the first axis
    python litert_quantizer_peer.py MODEL.tflite - OUT.tflite dynamic              dynamic int8
    python litert_quantizer_peer.py LIST.json                                      all of a list of [MODEL, SAMPLES, OUT]

turns.py times it beside `minmaxq quantize` and `minmaxq batch`; docs/performance.md has the figures.
"""

import json
import sys

import numpy as np
from litert_quantizer import quantizer, recipe


def main(model: str, samples: str, out: str, kind: str = "static") -> None:
    if kind == "dynamic":
        result = quantizer.Quantizer(model, recipe.dynamic_wi8_afp32()).quantize()
    else:
        from ai_edge_litert.interpreter import Interpreter

        signature, names = next(iter(Interpreter(model_path=model).get_signature_list().items()))
        name = names["inputs"][0]
        peer = quantizer.Quantizer(model, recipe.static_wi8_ai8())
        ranges = peer.calibrate({signature: [{name: sample[None]} for sample in np.load(samples)]})
        result = peer.quantize(ranges)
    result.export_model(out, overwrite=True)


if sys.argv[1].endswith(".json"):
    with open(sys.argv[1]) as file:
        for job in json.load(file):
            main(*job)
else:
    main(*sys.argv[1:])
