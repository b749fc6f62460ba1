"""The judge judged: files quantized by hand with numpy. Sound ones have to pass, each spoiled one has to be found."""
import numpy as np

from . import cases, judge, run
from .flat import TYPE, Net, quantization


def asymmetric(values):
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    scale = np.float32((high - low) / 255)
    return scale, int(np.clip(round(-128 - low / scale), -128, 127))


def codes(values, scale, zero_point, dtype):
    info = np.iinfo(dtype)
    return np.clip(np.rint(values / scale) + zero_point, info.min, info.max).astype(dtype)


class Dense:
    """y = FULLY_CONNECTED or CONV_2D(x, w, b): the float model, and one quantized by hand."""

    def __init__(self, kind, scheme):
        self.kind, self.scheme = kind, scheme
        r = cases.Random(kind)
        self.x = r(-1.5, 2.5, 1, 6, 6, 4) if kind == "CONV_2D" else r(-1.5, 2.5, 2, 32)
        self.w, self.b = r.channels(8, *((3, 3, 4) if kind == "CONV_2D" else (32,))), r.w(8)
        self.options = {"padding": "SAME"} if kind == "CONV_2D" else {}
        net = Net()
        net.op(kind, [net.input("x", self.x), net.const(self.w, "w"), net.const(self.b, "b")], **self.options)
        self.float_content = run.shaped(net)[1]
        self.samples = [[x] for x in self.x]
        self.outputs = run.outputs(self.float_content, self.samples)
        self.case = cases.Case(kind, kind, "Y", "Y", None, dynamic=("int8",), weights=True)

    def file(self, bias_type=None, spoil_bias_scale=1.0, spoil_scale=1.0, weight_zero_point=0, zero_scale=False):
        net = Net()
        sizes = np.abs(self.w).reshape(8, -1).max(1)
        scales = (sizes / 127).astype(np.float32)
        w = codes(self.w, scales.reshape(-1, *(1,) * (self.w.ndim - 1)), 0, np.int8)
        told = scales.copy()
        told[3] *= spoil_scale
        if zero_scale:
            told[3] = 0
        weight = net.const(w, "w", quantization(told, weight_zero_point))
        if self.scheme.startswith("dynamic"):
            net.op(self.kind, [net.input("x", self.x), weight, net.const(self.b, "b")], shapes=[self.outputs[0][0].shape], **self.options)
            return net.bytes()
        if self.scheme.startswith("weights"):
            expanded = net.op("DEQUANTIZE", [weight], shapes=[w.shape], version=5)
            net.op(self.kind, [net.input("x", self.x), expanded, net.const(self.b, "b")], shapes=[self.outputs[0][0].shape], **self.options)
            return net.bytes()
        y = np.stack([output[0] for output in self.outputs])
        if self.scheme == "int8":
            (sx, zx), (sy, zy), activation = asymmetric(self.x), asymmetric(y), TYPE.INT8
        else:
            sx, sy, zx, zy, activation = np.float32(np.abs(self.x).max() / 32767), np.float32(np.abs(y).max() / 32767), 0, 0, TYPE.INT16
        of_bias = (np.float64(sx) * scales).astype(np.float32)
        b = codes(self.b, of_bias, 0, bias_type or (np.int32 if self.scheme == "int8" else np.int64))
        of_bias = of_bias.copy()
        of_bias[2] *= spoil_bias_scale
        inputs = [net.input("x", self.x, quantization(sx, zx), activation), weight, net.const(b, "b", quantization(of_bias))]
        net.op(self.kind, inputs, (activation,), [y.shape[1:]], [quantization(sy, zy)], **self.options)
        return net.bytes()

    def verdict(self, content):
        verdict = judge.Verdict(self.kind, self.scheme)
        file = judge.judge_file(content, self.case, self.scheme, self.float_content, self.samples, self.outputs, verdict)
        verdict.problems = judge.shape_of_result(self.case, self.scheme, file) + verdict.problems
        return verdict


def element(kind, parameters, dtype=TYPE.INT8, expected="Y", version=1, alpha=None):
    """An operator of x (and y, or a constant alpha) whose tensors get the parameters that are given, operands first."""
    r = cases.Random(kind)
    data = [r(-2, 3, 2, 6) for _ in parameters[: -1 if alpha is None else 1]]
    plain, net = Net(), Net()
    inputs = [plain.input(f"x{i}", x) for i, x in enumerate(data)]
    quantized = [net.input(f"x{i}", x, quantization(*p), dtype) for i, (x, p) in enumerate(zip(data, parameters))]
    if alpha is not None:
        inputs.append(plain.const(np.full(6, 0.25, np.float32), "alpha"))
        quantized.append(net.const(codes(np.full(6, 0.25), *parameters[1], alpha), "alpha", quantization(*parameters[1])))
    plain.op(kind, inputs, version=version)
    content = run.shaped(plain)[1]
    samples = [list(sample) for sample in zip(*data)]
    outputs = run.outputs(content, samples)
    net.op(kind, quantized, (dtype,), [outputs[0][0].shape], [quantization(*parameters[-1])], version=version)
    scheme = "int8" if dtype == TYPE.INT8 else "int16x8"
    case = cases.Case(kind, kind, expected, expected, None)
    verdict = judge.Verdict(kind, scheme)
    file = judge.judge_file(net.bytes(), case, scheme, content, samples, outputs, verdict)
    verdict.problems = judge.shape_of_result(case, scheme, file) + verdict.problems
    return verdict


def stays_float():
    """A model that was not touched, where an operator in integers was due."""
    net = Net()
    x = cases.Random("float")(-2, 3, 2, 6)
    net.op("TANH", [net.input("x", x)])
    content = run.shaped(net)[1]
    case, verdict = cases.Case("TANH", "TANH", "Y", "Y", None), judge.Verdict("TANH", "int8")
    samples = [[sample] for sample in x]
    file = judge.judge_file(content, case, "int8", content, samples, run.outputs(content, samples), verdict)
    verdict.problems = judge.shape_of_result(case, "int8", file) + verdict.problems
    return verdict


def trials():
    """(what, whether it has to pass, the verdict)"""
    for kind in ("FULLY_CONNECTED", "CONV_2D"):
        for scheme in ("int8", "int16x8"):
            dense = Dense(kind, scheme)
            yield f"{kind} {scheme}, sound", True, dense.verdict(dense.file())
            yield f"{kind} {scheme}, one bias scale 1.5 times too large", False, dense.verdict(dense.file(spoil_bias_scale=1.5))
            yield f"{kind} {scheme}, one weight scale 1.2 times too large", False, dense.verdict(dense.file(spoil_scale=1.2))
            yield f"{kind} {scheme}, weights with a zero point", False, dense.verdict(dense.file(weight_zero_point=3))
            yield f"{kind} {scheme}, a scale of zero", False, dense.verdict(dense.file(zero_scale=True))
        for scheme in ("dynamic-int8", "weights-int8"):
            dense = Dense(kind, scheme)
            yield f"{kind} {scheme}, sound", True, dense.verdict(dense.file())
            yield f"{kind} {scheme}, one weight scale 1.2 times too large", False, dense.verdict(dense.file(spoil_scale=1.2))
    dense = Dense("CONV_2D", "int16x8")
    yield "CONV_2D int16x8, int32 bias", False, dense.verdict(dense.file(bias_type=np.int32))
    a, b = (5 / 255, -26), (4 / 255, -1)
    yield "MAXIMUM, equal parameters", True, element("MAXIMUM", [a, a, a])
    yield "MAXIMUM, other parameters of an operand", False, element("MAXIMUM", [a, b, a])
    yield "TANH, 1/128", True, element("TANH", [a, (1 / 128, 0)])
    yield "TANH, a scale ten times too coarse", False, element("TANH", [a, (1 / 12.8, 0)])
    yield "LOGISTIC, 1/255", False, element("LOGISTIC", [a, (1 / 255, -128)])
    yield "NEG, which has no kernel that rescales", False, element("NEG", [a, (5 / 255, 25)], expected="-")
    yield "PRELU int16x8, int8 alpha", True, element("PRELU", [(3 / 32767,), (0.25 / 127, 0), (3 / 32767,)], TYPE.INT16, alpha=np.int8)
    yield "PRELU int16x8, int16 alpha", False, element("PRELU", [(3 / 32767,), (0.25 / 32767, 0), (3 / 32767,)], TYPE.INT16, alpha=np.int16)
    yield "TANH, left in float", False, stays_float()


def run_all():
    good = True
    for what, passes, verdict in trials():
        right = passes != bool(verdict.problems)
        good = good and right
        print(f"{'ok' if right else 'WRONG':5} {what}: {'; '.join(verdict.problems)[:150] or 'passes'}")
    return good
