"""Does Vela, the compiler for Ethos-U, put what `--target ethos-u` writes on the NPU?"""
import os
import pathlib
import re
import subprocess

from . import models


def compiled(vela, path, folder, accelerator="ethos-u55-256"):
    """(operators on the CPU, on the NPU, the CPU's kinds) as Vela tells, or its error."""
    said = subprocess.run([vela, path, "--output-dir", folder, "--accelerator-config", accelerator, "--show-cpu-operations"], capture_output=True, text=True)
    text = said.stdout + said.stderr
    cpu, npu = (re.search(rf"{name} operators = (\d+)", text) for name in ("CPU", "NPU"))
    if said.returncode or not (cpu and npu):
        return (text.strip().split("\n") or ["?"])[-1][:300]
    kinds = sorted(set(re.findall(r"^ *CPU: (\w+) =", text, re.M)))
    why = re.findall(r"^Warning \(\w[\w ]*\) operator: .*(?:\n(?!Warning|\n).*)*", text, re.M)
    return int(cpu[1]), int(npu[1]), kinds, [" ".join(one.split()) for one in why][:12]


def run_all(vela, minmaxq, paths, data, folder, schemes=("int8",)):
    """Prints a line a model; True when all compile."""
    good = True
    for model in paths:
        with open(model, "rb") as file:
            content = file.read()
        stem = pathlib.Path(model).stem
        try:
            samples, _, _ = models.samples_of(model, content, data, folder, 4)
        except models.run.Refused as refused:
            print(f"{stem:32} {'float':8} LiteRT does not run the float model: {str(refused)[:120]}")
            continue
        for scheme in schemes:
            out = os.path.join(folder, f"{stem}.{scheme}.ethos.tflite")
            said = subprocess.run([minmaxq, "quantize", model, "--scheme", scheme, "--target", "ethos-u", "--data", samples, "-o", out, "--force"], capture_output=True, text=True)
            if said.returncode:
                print(f"{stem:32} {scheme:8} minmaxq: {said.stderr.strip()[:200]}")
                good = False
                continue
            found = compiled(vela, out, folder)
            if isinstance(found, str):
                print(f"{stem:32} {scheme:8} Vela: {found}")
                good = False
                continue
            cpu, npu, kinds, why = found
            print(f"{stem:32} {scheme:8} {npu:4} on the NPU, {cpu:4} on the CPU {' '.join(kinds)}", flush=True)
            for line in why if cpu else []:
                print(f"    {line}")
    return good
