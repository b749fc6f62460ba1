"""One case under one scheme: quantized by minmaxq, run by LiteRT, held against what the file says and against what the model meant."""
import dataclasses
import os
import subprocess

import numpy as np

from . import flat, run, simulate
from .flat import TYPE

STATIC = ("int8", "int16x8")
DYNAMIC = {"dynamic-int8": "int8", "dynamic-int4": "int4", "dynamic-int2": "int2"}
WEIGHTS = {"weights-int8": "int8", "weights-int4": "int4", "weights-float16": "float16"}
BLOCKS = "dynamic-int4 --block 32"
SCHEMES = (*STATIC, *DYNAMIC, BLOCKS, *WEIGHTS)
DTYPE = {"int8": TYPE.INT8, "int4": TYPE.INT4, "int2": TYPE.INT2, "float16": TYPE.FLOAT16}
ACTIVATION = {"int8": TYPE.INT8, "int16x8": TYPE.INT16}

# Least SQNR against the float model in dB: what uniform values lose by the scheme's coarsest rounding, and half as much again.
# int16x8 has two: operators with int8 weights, and those without.
DECIBEL = {"int8": 28, "int16x8": 60, "dynamic-int8": 28, "dynamic-int4": 14, "dynamic-int2": 3, BLOCKS: 14, "weights-int8": 35, "weights-int4": 14, "weights-float16": 60}
WITH_WEIGHTS = {"int16x8": 36}
# A result of an integer kernel may be this many steps off the simulation; one in float this share of the largest value.
STEPS, RELATIVE = 2.0, 1e-4


@dataclasses.dataclass
class Verdict:
    case: str
    scheme: str
    problems: list = dataclasses.field(default_factory=list)
    steps: dict = dataclasses.field(default_factory=dict)  # by resolver: largest distance to the simulation, in steps or in allowances
    meant: float | None = None  # largest distance of the simulation to the float model with rounded constants, in the same unit
    decibel: float | None = None
    operators: list = dataclasses.field(default_factory=list)

    def as_json(self):
        return dataclasses.asdict(self)


def sqnr(wanted, got):
    wanted, got = np.asarray(wanted, np.float64).ravel(), np.asarray(got, np.float64).ravel()
    noise = ((wanted - got) ** 2).sum()
    return float("inf") if noise == 0 else float(10 * np.log10((wanted**2).sum() / noise)) if (wanted**2).sum() > 0 else -99.0


def signature(file):
    """Every operator with the dtypes of its operands and results."""
    dtype = lambda i: "-" if i < 0 else flat.NAME_OF[file.tensors[int(i)].type].lower() + ("!" if int(i) in file.constants else "")
    return [f"{kind} {' '.join(map(dtype, operator.inputs))} → {' '.join(map(dtype, operator.outputs))}" for kind, operator in file.operators()]


def unsound(file):
    """Parameters that no kernel may get."""
    problems = []
    smallest = np.finfo(np.float32).tiny
    weights = {int(operator.inputs[1]) for kind, operator in file.operators() if kind in simulate.DYNAMIC and kind != "BATCH_MATMUL"}
    for i, tensor in enumerate(file.tensors):
        scales = flat.scales_of(tensor)
        if scales is None:
            continue
        name, zero_points = flat.text(tensor.name), tensor.quantization.zeroPoint
        if not np.isfinite(scales).all() or (scales < smallest).any():
            problems.append(f"{name}: scale {scales.min()}")
        if zero_points is None or len(zero_points) != len(scales):
            problems.append(f"{name}: {len(scales)} scales, other number of zero points")
            continue
        if len(scales) > 1 and (tensor.quantization.quantizedDimension >= len(tensor.shape) or len(scales) != tensor.shape[tensor.quantization.quantizedDimension]):
            problems.append(f"{name}: {len(scales)} scales along axis {tensor.quantization.quantizedDimension} of {list(tensor.shape)}")
        if tensor.type in (TYPE.INT16, TYPE.INT32, TYPE.INT64) and np.any(zero_points):
            problems.append(f"{name}: zero point {zero_points[0]} with {flat.NAME_OF[tensor.type]}")
        if i in weights and i in file.constants:
            if np.any(zero_points):
                problems.append(f"{name}: weight with a zero point")
            if tensor.type == TYPE.INT8 and (flat.raw_constant(file.model, tensor) == -128).any():
                problems.append(f"{name}: weight of -128")
    return problems


# Results that always have these parameters: (scale, zero point) by dtype of the result. Of TANH int8 the built-in kernel takes any, others do not.
FIXED = {
    "LOGISTIC": {TYPE.INT8: (1 / 256, -128), TYPE.INT16: (1 / 32768, 0)},
    "TANH": {TYPE.INT8: (1 / 128, 0), TYPE.INT16: (1 / 32768, 0)},
    "SOFTMAX": {TYPE.INT8: (1 / 256, -128), TYPE.INT16: (1 / 32768, 0)},
    "LOG_SOFTMAX": {TYPE.INT8: (16 / 256, 127)},
    "L2_NORMALIZATION": {TYPE.INT8: (1 / 128, 0)},
}
# Operands: activation, weight, bias.
BIASES = {"FULLY_CONNECTED": (0, 1, 2), "CONV_2D": (0, 1, 2), "DEPTHWISE_CONV_2D": (0, 1, 2), "TRANSPOSE_CONV": (2, 1, 3)}


def unlike_others(file):
    """Parameters that depend on other tensors' or on the operator, which kernels mostly do not check."""
    problems = []
    for kind, operator in file.operators():
        result = file.tensors[int(operator.outputs[0])] if len(operator.outputs) else None
        fixed = FIXED.get(kind, {}).get(result.type) if result is not None else None
        if fixed and not (abs(flat.scales_of(result)[0] / fixed[0] - 1) < 1e-6 and int(result.quantization.zeroPoint[0]) == fixed[1]):
            problems.append(f"{kind}: result has {flat.scales_of(result)[0]:.6g} and {int(result.quantization.zeroPoint[0])}, not {fixed[0]:.6g} and {fixed[1]}")
        at = BIASES.get(kind)
        if at and len(operator.inputs) > at[2] and operator.inputs[at[2]] >= 0:
            activation, weight, bias = (file.tensors[int(operator.inputs[i])] for i in at)
            if not flat.is_quantized(activation):
                continue
            wanted = flat.scales_of(activation)[0] * flat.scales_of(weight)
            told = flat.scales_of(bias)
            if told is None or len(told) not in (1, len(wanted)) or (np.abs(told - wanted) > 1e-5 * wanted).any():
                problems.append(f"{flat.text(bias.name)}: scale of the bias is not input · weight")
            if bias.type != (TYPE.INT64 if activation.type == TYPE.INT16 else TYPE.INT32):
                problems.append(f"{flat.text(bias.name)}: {flat.NAME_OF[bias.type]} bias")
    return problems


def shape_of_result(case, scheme, file):
    """What the scheme had to make of the operator and did not."""
    own = [operator for kind, operator in file.operators() if kind == case.kind]
    if not own:
        return [f"no {case.kind} in the file"]
    activations = lambda operator: [file.tensors[int(i)] for i in (*operator.inputs, *operator.outputs) if i >= 0 and int(i) not in file.constants and not file.tensors[int(i)].isVariable]
    constants = lambda operator: [file.tensors[int(i)] for i in operator.inputs if int(i) in file.constants]
    floats = [tensor for operator in own for tensor in activations(operator) if tensor.type == TYPE.FLOAT32]
    integers = [tensor for operator in own for tensor in activations(operator) if flat.is_quantized(tensor)]
    fixed = [tensor for operator in own for tensor in constants(operator)]
    if scheme in STATIC:
        wanted = getattr(case, scheme)
        if wanted == "Y" and (floats or not any(tensor.type == ACTIVATION[scheme] for tensor in integers)):
            return [f"stays float, has a kernel ({', '.join(flat.text(t.name) for t in floats)})"]
        if wanted == "Y" and any(tensor.type == TYPE.FLOAT32 for tensor in fixed):
            return ["a constant operand stays float"]
        if wanted == "-" and integers:
            return [f"has no such kernel: {', '.join(flat.text(t.name) for t in integers)} must stay float"]
        return []
    if integers:
        return ["activations are not float any more"]
    if scheme in WEIGHTS:
        dtype = DTYPE[WEIGHTS[scheme]]
        expanded = [file.tensors[int(operator.inputs[0])].type for kind, operator in file.operators() if kind == "DEQUANTIZE"]
        if case.kind == "EMBEDDING_LOOKUP":  # expands rows itself
            expanded += [tensor.type for tensor in fixed]
            fixed = []
        wrong = [tensor for tensor in fixed if flat.is_quantized(tensor) or tensor.type == TYPE.FLOAT16]
        return [] if dtype in expanded and not wrong else [f"no {WEIGHTS[scheme]} weight behind a DEQUANTIZE"]
    dtype = "int4" if scheme == BLOCKS else DYNAMIC[scheme]
    found = [tensor for tensor in fixed if flat.is_quantized(tensor)]
    has_kernel = case.blocks if scheme == BLOCKS else dtype in case.dynamic
    if has_kernel and not any(tensor.type == DTYPE[dtype] for tensor in found):
        return [f"no {dtype} weight"]
    if scheme == BLOCKS and has_kernel and not any(flat.is_blockwise(tensor) for tensor in found):
        return ["not block-wise"]
    if not has_kernel and any(tensor.type == DTYPE[dtype] for tensor in found):
        return [f"{dtype} weight without a kernel"]
    return []


def applies(case, scheme):
    if scheme in STATIC:
        return True
    if scheme == BLOCKS:
        return case.blocks
    if scheme in DYNAMIC:
        return bool(case.dynamic) and not case.words
    return (case.weights or bool(case.dynamic)) and not case.words


def quantize(minmaxq, model, data, scheme, words, out):
    """None, or minmaxq's error."""
    command = [minmaxq, "quantize", model, "--scheme", *scheme.split(" "), *words, "-o", out, "--force"]
    if scheme in STATIC:
        command += ["--data", data, "--mode", "minmax"]
    done = subprocess.run(command, capture_output=True, text=True)
    return None if done.returncode == 0 else (done.stderr.strip() or done.stdout.strip()).replace("\n", " ")[:300]


def distance(wanted, got, allowance):
    """Largest difference in units of what is allowed; where nothing is (whole numbers, booleans), any difference is infinite."""
    wanted, got = np.asarray(wanted), np.asarray(got)
    if wanted.shape != got.shape:
        return float("inf")
    if allowance is None:
        return 0.0 if np.array_equal(wanted, got) else float("inf")
    apart = np.abs(np.asarray(wanted, np.float64) - np.asarray(got, np.float64)) / allowance
    return float("inf") if np.isnan(apart).any() else float(apart.max(initial=0))


def allowances(file, reals):
    """Per output: (unit, how many units a result may be off); None for what has to be equal."""
    found = []
    for o, i in enumerate(file.graph.outputs):
        behind = file.tensors[file.quantized_behind(int(i))]
        if flat.is_quantized(behind):
            found.append((flat.scales_of(behind)[0], STEPS))
        elif behind.type == TYPE.FLOAT32:
            largest = max(float(np.abs(sample[o][0]).max(initial=0)) for sample in reals)
            found.append((RELATIVE * largest + 1e-7, 1.0))
        else:
            found.append(None)
    return found


def judge_file(content, case, scheme, float_content, samples, float_outputs, verdict):
    """Runs a quantized file and fills the verdict. `samples`: [sample][input] of the float model, in its order of inputs."""
    file = simulate.File(content)
    verdict.operators = signature(file)
    verdict.problems += unsound(file) + unlike_others(file)
    inputs = [file.tensors[int(i)] for i in file.graph.inputs]
    outputs = [file.tensors[int(i)] for i in file.graph.outputs]
    given = [[flat.encoded(t, x) if flat.is_quantized(t) else x for t, x in zip(inputs, sample)] for sample in samples]
    recurrent = case.kind in simulate.RECURRENT and scheme not in STATIC
    try:
        wanted = simulate.simulated(content, given)
    except run.Refused as refused:
        verdict.problems.append(f"cannot be simulated: {refused}")
        wanted = None
    real = lambda t, x: flat.dequantized(t, x) if flat.is_quantized(t) else x
    first = None
    for resolver in run.RESOLVERS:
        # The reference kernel of FULLY_CONNECTED does not know blocks.
        if resolver == "reference" and (case.unlike or scheme == BLOCKS):
            continue
        try:
            got = run.outputs(content, given, resolver)
        except run.Refused as refused:
            # Some operators have no reference kernel: not a fault of the file.
            if resolver != "reference" or "Didn't find op" not in str(refused):
                verdict.problems.append(f"{resolver}: {refused}")
            continue
        got = [[real(t, x) for t, x in zip(outputs, sample)] for sample in got]
        first = first or got
        if wanted is None:
            continue
        if recurrent:
            worst = min(sqnr([s[o][0] for s in wanted], [s[o] for s in got]) for o in range(len(outputs)))
            verdict.steps[resolver] = round(worst, 1)
            if not worst >= 30:
                verdict.problems.append(f"{resolver}: {worst:.1f} dB from the simulation")
            continue
        worst = 0.0
        for o, allowed in enumerate(allowances(file, wanted)):
            limit = case.steps.get(scheme, allowed[1]) if allowed else 0
            for simulated, sample in zip(wanted, got):
                values, slack = simulated[o]
                unit = None if allowed is None else allowed[0] if slack is None else allowed[0] + slack
                off = distance(values, sample[o], unit)
                worst = max(worst, off)
                if off > limit + 1e-6 and not any(problem.startswith(f"{resolver}: output {o}") for problem in verdict.problems):
                    verdict.problems.append(f"{resolver}: output {o} is {off:.3g} {'steps' if limit == STEPS else 'allowances'} off the simulation")
        verdict.steps[resolver] = round(worst, 3)
    if wanted is not None:
        meant(verdict, file, float_content, samples, given, wanted, inputs)
    if first is not None:
        compare_with_float(verdict, case, scheme, file, float_outputs, first)
    return file


def meant(verdict, file, float_content, samples, given, wanted, inputs):
    """The simulation of the file against the float model itself with the same rounded inputs and constants: has the model been kept?"""
    rounded_model, _ = simulate.with_rounded_constants(float_content, file)
    rounded = [[np.asarray(flat.dequantized(t, x), np.float32) if flat.is_quantized(t) else x for t, x in zip(inputs, sample)] for sample in given]
    try:
        plain = run.outputs(rounded_model, rounded)
    except run.Refused as refused:
        verdict.problems.append(f"the float model: {refused}")
        return
    worst = 0.0
    # What float32 itself loses where large inputs nearly cancel.
    noise = 2.0**-22 * max((float(np.abs(x).max(initial=0)) for sample in rounded for x in sample if x.dtype == np.float32), default=0)
    for o, (i, allowed) in enumerate(zip(file.graph.outputs, allowances(file, wanted))):
        behind = file.tensors[file.quantized_behind(int(i))]
        for simulated, sample in zip(wanted, plain):
            held = flat.dequantized(behind, flat.encoded(behind, sample[o])) if flat.is_quantized(behind) else sample[o]
            off = distance(np.reshape(simulated[o][0], np.shape(held)) if np.size(held) == np.size(simulated[o][0]) else simulated[o][0], held, allowed and allowed[0] + noise)
            worst = max(worst, off)
    verdict.meant = round(worst, 3)
    if worst > max([allowed[1] for allowed in allowances(file, wanted) if allowed], default=0) + 1e-6:
        verdict.problems.append(f"the file means something else than the model: {worst:.3g} steps")


def compare_with_float(verdict, case, scheme, file, float_outputs, got):
    outputs = [file.tensors[int(i)].type for i in file.graph.outputs]
    numbers = []
    for o, dtype in enumerate(outputs):
        if dtype == TYPE.BOOL or (dtype in (TYPE.INT32, TYPE.INT64) and not flat.is_quantized(file.tensors[int(file.graph.outputs[o])])):
            if any(not np.array_equal(a[o], b[o]) for a, b in zip(float_outputs, got)):
                verdict.problems.append(f"output {o} (whole numbers) differs from the float model's")
        else:
            numbers.append(sqnr([a[o] for a in float_outputs], [b[o] for b in got]))
    if not numbers:
        return
    verdict.decibel = min(numbers)
    least = case.decibel.get(scheme, WITH_WEIGHTS.get(scheme, DECIBEL[scheme]) if case.weights or case.dynamic or case.words else DECIBEL[scheme])
    if not verdict.decibel >= least:
        verdict.problems.append(f"{verdict.decibel:.1f} dB, {least} wanted")


class Prepared:
    """A case's files and float results, made once for all schemes."""

    def __init__(self, case, folder):
        net, reference = case.made()
        content, self.reference = run.shaped(net, reference)
        name = "".join(c if c.isalnum() else "_" for c in case.name)
        self.model, self.data = os.path.join(folder, f"{name}.tflite"), os.path.join(folder, f"{name}.npz")
        with open(self.model, "wb") as file:
            file.write(content)
        np.savez(self.data, **net.data)
        names = [flat.text(net.graph.tensors[i].name) for i in net.graph.inputs]
        count = len(net.data[names[0]]) if names else 1
        self.samples = [[net.data[n][s] for n in names] for s in range(count)]
        self.outputs = run.outputs(self.reference, self.samples)


def judge(minmaxq, case, scheme, prepared):
    verdict = Verdict(case.name, scheme)
    out = f"{prepared.model[: -len('.tflite')]}.{scheme.replace(' ', '')}.tflite"
    said = quantize(minmaxq, prepared.model, prepared.data, scheme, case.words, out)
    if said is not None:
        verdict.problems.append(f"minmaxq: {said}")
        return verdict
    with open(out, "rb") as file:
        content = file.read()
    file = judge_file(content, case, scheme, prepared.reference, prepared.samples, prepared.outputs, verdict)
    verdict.problems = shape_of_result(case, scheme, file) + verdict.problems
    return verdict
