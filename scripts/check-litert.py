#!/usr/bin/env python3
"""Does stock LiteRT run what `minmaxq quantize` writes in its schemes, and compute what the file says?

    pip install ai-edge-litert numpy flatbuffers
    python3 scripts/check-litert.py --operators [--only CONV_2D] [--schemes int8,int16x8] [--json FILE]
    python3 scripts/check-litert.py --models FILE… [--data STEM=SAMPLES.npz] [--samples 4] [--markdown] [--json FILE]
    python3 scripts/check-litert.py --vela VELA --models FILE… [--data STEM=SAMPLES.npz]
    python3 scripts/check-litert.py --predictions --models FILE… --data STEM=SAMPLES.npz [--schemes int8,int16x8]
    python3 scripts/check-litert.py --self-test

To be run by hand, after `bun run build`: it needs the native runtime, the tests do not.

--operators   A model of every operator that LiteRT's schemes know (scripts/litert/cases.py: the table) is made, quantized, run by the interpreter
              with its default kernels (XNNPACK), its built-in ones and its reference ones, and compared three times:
                kernels   each result with a simulation in float from the parameters in the file: at most 2 steps off (dynamic range: what a step
                          of the input can do; recurrent operators: 30 dB)
                meant     that simulation with the float model, whose inputs and constants are rounded likewise: at most 2 steps off
                dB        the result with the float model on unrounded numbers: at least what the scheme gives
              What has no kernel must be float in the file, what has one must not.
--models      Each model under each scheme: loads and runs with the default and the built-in kernels? SQNR in dB per output against the float model,
              and what minmaxq predicts of ONE's schemes beside it. Samples: --data, or MODEL.npz or MODEL.npy beside it, else 16 made up.
--vela        The same models as int8 for --target ethos-u, compiled by Vela (`pip install ethos-u-vela`; the path of its executable).
--predictions Every operator of these models, cut out and fed with LiteRT's own results: no value of its kernel is more than a step off what
              `fake-quantize`, and so `compare --run fake`, predict. (Whole deep models differ by more: a few such steps grow.)
--self-test   The judge itself: files quantized by hand, sound ones that have to pass and spoiled ones that have to be found.
Exit code 1 when anything fails.
"""
import argparse
import json
import pathlib
import sys
import tempfile

from litert import cases, judge, models, predictions, run, vela

ROOT = pathlib.Path(__file__).resolve().parent.parent


def show(verdict):
    steps = " ".join(f"{verdict.steps[r]:>8.3g}" if r in verdict.steps else f"{'-':>8}" for r in run.RESOLVERS)
    meant = "-" if verdict.meant is None else f"{verdict.meant:.3g}"
    decibel = "-" if verdict.decibel is None else f"{verdict.decibel:.1f}"
    print(f"{'FAIL' if verdict.problems else 'ok':4} {verdict.case:42} {verdict.scheme:24} {steps} {meant:>8} {decibel:>7}", flush=True)
    for problem in verdict.problems:
        print(f"       {problem}")
    if verdict.problems:
        for operator in verdict.operators:
            print(f"         {operator}", flush=True)


def operators(given):
    print(f"{'':4} {'operator':42} {'scheme':24} {'default':>8} {'builtin':>8} {'refer.':>8} {'meant':>8} {'dB':>7}")
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="check-litert-") as made_up:
        folder = given.keep or made_up
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        for case in cases.CASES:
            schemes = [scheme for scheme in given.schemes or judge.SCHEMES if judge.applies(case, scheme)]
            if not schemes or (given.only and not any(word in case.name for word in given.only)):
                continue
            prepared = judge.Prepared(case, folder)
            for scheme in schemes:
                verdict = judge.judge(given.minmaxq, case, scheme, prepared)
                verdicts.append(verdict)
                if verdict.problems or not given.quiet:
                    show(verdict)
    if given.json:
        pathlib.Path(given.json).write_text(json.dumps([verdict.as_json() for verdict in verdicts], indent=1))
    wrong = [verdict for verdict in verdicts if verdict.problems]
    print(f"{len(verdicts)} results of {len({verdict.case for verdict in verdicts})} models, {len(wrong)} wrong")
    return not wrong


def whole_models(given):
    data = dict(word.split("=", 1) for word in given.data)
    with tempfile.TemporaryDirectory(prefix="check-litert-") as made_up:
        folder = given.keep or made_up
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        if given.predictions:
            return predictions.run_all(given.minmaxq, given.models, data, given.schemes or ["int8", "int16x8"], folder)
        if given.vela:
            return vela.run_all(given.vela, given.minmaxq, given.models, data, folder)
        chosen = [name for name in models.SCHEMES if given.schemes is None or name.split(",")[0] in given.schemes]
        rows = models.run_all(given.minmaxq, given.models, data, folder, given.samples, chosen, given.markdown)
    if given.json:
        pathlib.Path(given.json).write_text(json.dumps(rows, indent=1))
    wrong = [row for row in rows if "problem" in row and not row.get("float")]
    print(f"{len(given.models)} models, {len(rows)} results, {len(wrong)} wrong")
    return not wrong


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--operators", action="store_true")
    arguments.add_argument("--models", nargs="+")
    arguments.add_argument("--data", action="append", default=[], help="STEM=FILE: samples (.npz, .npy) of the model STEM.tflite; repeatable")
    arguments.add_argument("--samples", type=int, default=4, help="how many samples results are compared on")
    arguments.add_argument("--markdown", action="store_true")
    arguments.add_argument("--vela", help="path of Vela's executable")
    arguments.add_argument("--predictions", action="store_true")
    arguments.add_argument("--self-test", action="store_true")
    arguments.add_argument("--schemes", type=lambda text: text.split(","), help="default: all")
    arguments.add_argument("--only", action="append", help="cases whose name has this; repeatable")
    arguments.add_argument("--json", help="where to write all verdicts")
    arguments.add_argument("--keep", help="folder for the models that are made")
    arguments.add_argument("--quiet", action="store_true", help="failures only")
    arguments.add_argument("--minmaxq", default=str(ROOT / "dist/minmaxq"))
    given = arguments.parse_args()
    if not (given.operators or given.models or given.self_test):
        arguments.error("give --operators, --models or --self-test")
    good = True
    if given.self_test:
        from litert import self_test

        good = self_test.run_all() and good
    if given.operators:
        good = operators(given) and good
    if given.models:
        good = whole_models(given) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
