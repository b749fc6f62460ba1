"""What a quantized model ought to compute: real numbers by the parameters in the file, every operator in float, every quantized result rounded once.

An operator is taken out of the file as a float model of its own, constants dequantized, and run by LiteRT's float kernels. So no integer
kernel, no delegate and no code of minmaxq has a part in it.

Operators with float activations and integer weights (dynamic range) round their input when they run, each kernel in its own way. There the
answer has a slack: what an input that is off by one step of the coarsest of these ways (max|x| / 127) can do at most.
"""
import copy

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from . import flat, run
from .flat import TYPE

# Operand of the activation, operand of the weight, what it does being linear in both. BATCH_MATMUL rounds its left side.
DYNAMIC = {"FULLY_CONNECTED": (0, 1), "CONV_2D": (0, 1), "DEPTHWISE_CONV_2D": (0, 1), "TRANSPOSE_CONV": (2, 1), "BATCH_MATMUL": (0, 1)}
# As above, but not linear: no slack can be told, results are compared in dB.
RECURRENT = {"LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM", "RNN", "UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_RNN", "SVDF"}


# Where float32 would lose what an int16 kernel keeps: the difference of large numbers.
EXACT = {"ADD": np.add, "SUB": np.subtract, "MUL": np.multiply}
CLIPS = {"NONE": (-np.inf, np.inf), "RELU": (0, np.inf), "RELU6": (0, 6), "RELU_N1_TO_1": (-1, 1)}
ACTIVATIONS = {code: name for name, code in vars(schema.ActivationFunctionType).items() if not name.startswith("_")}


class OneOperator:
    """An operator of a model as a float model: call it with the real numbers of its computed operands."""

    def __init__(self, model, graph, operator, constants, shapes, weights_as=None):
        net = flat.Net()
        place, self.wanted = {}, []
        for i in dict.fromkeys(int(i) for i in operator.inputs if i >= 0):
            tensor = graph.tensors[i]
            real = TYPE.FLOAT32 if flat.is_quantized(tensor) or tensor.type == TYPE.FLOAT16 else tensor.type
            if i in constants:
                values = constants[i] if weights_as is None else weights_as(i, constants[i])
                place[i] = net.const(values.astype(np.float32) if real == TYPE.FLOAT32 else values)
            elif tensor.isVariable:
                place[i] = net.variable(tensor.shape, f"v{i}", real)
            else:
                place[i] = net.tensor(f"x{i}", shapes[i], real)
                net.graph.inputs.append(place[i])
                self.wanted.append(i)
        outputs = [net.tensor(f"y{i}", graph.tensors[i].shape if graph.tensors[i].shape is not None else [], TYPE.FLOAT32 if flat.is_quantized(graph.tensors[i]) else graph.tensors[i].type) for i in operator.outputs]
        taken = copy.copy(operator)
        code = copy.copy(model.operatorCodes[operator.opcodeIndex])
        net.model.operatorCodes = [code]
        taken.opcodeIndex = 0
        taken.inputs = np.array([place[int(i)] if i >= 0 else -1 for i in operator.inputs], np.int32)
        taken.outputs = np.array(outputs, np.int32)
        if weights_as is not None and taken.builtinOptions is not None and hasattr(taken.builtinOptions, "fusedActivationFunction"):
            taken.builtinOptions = copy.copy(taken.builtinOptions)
            taken.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.NONE
        taken.intermediates = None
        net.graph.operators.append(taken)
        net.graph.outputs = outputs
        # The optimized float kernel dies of a depthwise convolution without bias.
        bare = flat.kind_of(model, operator) == "DEPTHWISE_CONV_2D" and len(operator.inputs) < 3
        self.interpreter = run.interpreter_of(net.bytes(), "reference" if bare else "builtin")
        self.inputs, self.outputs = self.interpreter.get_input_details(), self.interpreter.get_output_details()
        self.interpreter.allocate_tensors()

    def __call__(self, values):
        self.interpreter.reset_all_variables()
        for i, detail in zip(self.wanted, self.inputs):
            self.interpreter.set_tensor(detail["index"], np.asarray(values[i], detail["dtype"], order="C").reshape(detail["shape"]))
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(detail["index"]) for detail in self.outputs]


class File:
    """The first subgraph of a model, to be run operator by operator."""

    def __init__(self, content):
        self.model = flat.opened(content)
        self.graph = self.model.subgraphs[0]
        self.tensors = self.graph.tensors
        self.constants = {}
        for i, tensor in enumerate(self.tensors):
            raw = flat.raw_constant(self.model, tensor)
            if raw is not None:
                self.constants[i] = flat.dequantized(tensor, raw, self.model, self.graph) if flat.is_quantized(tensor) else raw
        self.cut = {}

    def operators(self):
        return [(flat.kind_of(self.model, operator), operator) for operator in self.graph.operators]

    def single(self, at, values, weights_as=None):
        shapes = {int(i): np.shape(values[int(i)]) for i in self.graph.operators[at].inputs if int(i) in values}
        key = (at, weights_as is None, tuple(sorted(shapes.items())))
        if key not in self.cut:
            self.cut[key] = OneOperator(self.model, self.graph, self.graph.operators[at], self.constants, shapes, weights_as)
        return self.cut[key]

    def is_dynamic(self, kind, operator):
        """Whether it is an operator with float activations and integer weights."""
        if kind in ("DEQUANTIZE", "QUANTIZE", "EMBEDDING_LOOKUP"):
            return False
        used = [self.tensors[int(i)] for i in operator.inputs if i >= 0]
        return any(flat.is_quantized(tensor) for tensor in used) and self.tensors[int(operator.outputs[0])].type == TYPE.FLOAT32

    def slack(self, at, kind, operator, values):
        """How far a dynamic-range kernel may be from the real result: one step of its input, through the sizes of the weights."""
        activation, weight = (int(operator.inputs[i]) for i in DYNAMIC[kind])
        if weight not in self.constants:
            return None
        step = np.abs(values[activation]).max() / 127
        sizes = lambda i, constant: np.abs(constant) if i == weight else np.zeros_like(constant) if np.issubdtype(constant.dtype, np.floating) else constant
        return self.single(at, values, sizes)({**values, activation: np.full(np.shape(values[activation]), step)})[0]

    def results(self, at, kind, operator, values):
        """What the operator gives for real numbers of its operands."""
        if kind in ("QUANTIZE", "DEQUANTIZE"):
            return [values[int(operator.inputs[0])]]
        if kind in EXACT and flat.is_quantized(self.tensors[int(operator.outputs[0])]):
            exact = EXACT[kind](*(np.asarray(values[int(i)], np.float64) for i in operator.inputs))
            return [np.clip(exact, *CLIPS[ACTIVATIONS[operator.builtinOptions.fusedActivationFunction]])]
        return self.single(at, values)(values)

    def run(self, inputs):
        """Real numbers of all tensors by index, and the slack of those that have one. `inputs` as the file takes them (integers where it does)."""
        values, slack, variables = dict(self.constants), {}, {}
        for i, given in zip(self.graph.inputs, inputs):
            tensor = self.tensors[int(i)]
            values[int(i)] = flat.dequantized(tensor, given) if flat.is_quantized(tensor) else given
        for at, (kind, operator) in enumerate(self.operators()):
            ins, outs = [int(i) for i in operator.inputs], [int(i) for i in operator.outputs]
            if kind == "VAR_HANDLE":
                results = [("variable", operator.builtinOptions.container, operator.builtinOptions.sharedName)]
            elif kind == "ASSIGN_VARIABLE":
                variables[values[ins[0]]] = values[ins[1]]
                continue
            elif kind == "READ_VARIABLE":
                results = [variables.get(values[ins[0]], 0)]
            else:
                results = self.results(at, kind, operator, values)
                if kind in DYNAMIC and self.is_dynamic(kind, operator):
                    slack[outs[0]] = self.slack(at, kind, operator, values)
                elif kind in ("RELU", "RELU6", "RELU_N1_TO_1") and ins[0] in slack:
                    slack[outs[0]] = slack[ins[0]]  # makes no difference larger
            for i, result in zip(outs, results):
                tensor = self.tensors[i]
                if flat.is_quantized(tensor):
                    result = flat.dequantized(tensor, flat.encoded(tensor, result))
                elif tensor.type == TYPE.FLOAT32:
                    result = np.asarray(result, np.float32)
                values[i] = result
        return values, slack

    def quantized_behind(self, i):
        """The quantized tensor that float output i is the dequantized form of, or i itself."""
        for kind, operator in self.operators():
            if kind == "DEQUANTIZE" and int(operator.outputs[0]) == i and int(operator.inputs[0]) not in self.constants:
                return int(operator.inputs[0])
        return i


def _simulated(content, samples):
    """[sample][output]: (real numbers, slack or None)."""
    file = File(content)
    results = []
    for sample in samples:
        values, slack = file.run(sample)
        results.append([(values[int(i)], slack.get(int(i))) for i in file.graph.outputs])
    return results


def simulated(content, samples):
    return run.apart(_simulated, content, samples)


def with_rounded_constants(float_content, quantized):
    """The float model, its float constants replaced by what the quantized file says of those of the same name; and how many were."""
    said = {flat.text(tensor.name): quantized.constants[i] for i, tensor in enumerate(quantized.tensors) if i in quantized.constants and (flat.is_quantized(tensor) or tensor.type == TYPE.FLOAT16)}
    model = flat.opened(float_content)
    count = 0
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            raw = flat.raw_constant(model, tensor)
            rounded = said.get(flat.text(tensor.name))
            if raw is None or raw.dtype != np.float32 or rounded is None or rounded.shape != raw.shape:
                continue
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(rounded.astype(np.float32).tobytes(), np.uint8)
            model.buffers.append(buffer)
            tensor.buffer = len(model.buffers) - 1
            count += 1
    return flat.written(model), count
