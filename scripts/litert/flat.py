"""TFLite models as tables: built from a few words, read back, and what their tensors' integers mean.

Everything goes through the object API of `ai_edge_litert.schema_py_generated`, which is not of this project: what minmaxq's own reader
and writer believe of a file cannot show here.
"""
import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

TYPE = schema.TensorType
BITS = {TYPE.INT4: 4, TYPE.INT2: 2}
NUMPY = {
    TYPE.FLOAT32: np.float32, TYPE.FLOAT16: np.float16, TYPE.INT8: np.int8, TYPE.UINT8: np.uint8, TYPE.INT16: np.int16, TYPE.INT32: np.int32,
    TYPE.INT64: np.int64, TYPE.BOOL: np.bool_, TYPE.FLOAT64: np.float64, TYPE.UINT32: np.uint32, TYPE.COMPLEX64: np.complex64,
}
TYPE_OF = {np.dtype(kind): code for code, kind in NUMPY.items()}
NAME_OF = {code: name for name, code in vars(TYPE).items() if not name.startswith("_")}
KIND = {name: code for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
KIND_OF = {code: name for name, code in KIND.items()}
INTEGER = {TYPE.INT8: (-128, 127), TYPE.UINT8: (0, 255), TYPE.INT16: (-32768, 32767), TYPE.INT32: (-(2**31), 2**31 - 1), TYPE.INT64: (-(2**63), 2**63 - 1)}

# Kinds whose table of options is not the kind's own name in CamelCase.
OPTIONS = {
    "CONV_2D": "Conv2DOptions", "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions", "CONV_3D": "Conv3DOptions", "CONV_3D_TRANSPOSE": "Conv3DOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions", "MAX_POOL_2D": "Pool2DOptions", "L2_POOL_2D": "Pool2DOptions", "BATCH_MATMUL": "BatchMatMulOptions",
    "L2_NORMALIZATION": "L2NormOptions", "MAXIMUM": "MaximumMinimumOptions", "MINIMUM": "MaximumMinimumOptions", "SVDF": "SVDFOptions",
    "MEAN": "ReducerOptions", "SUM": "ReducerOptions", "REDUCE_PROD": "ReducerOptions", "REDUCE_MAX": "ReducerOptions", "REDUCE_MIN": "ReducerOptions",
    "REDUCE_ANY": "ReducerOptions", "LSTM": "LSTMOptions", "RNN": "RNNOptions", "PADV2": "PadV2Options", "TOPK_V2": "TopKV2Options",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTMOptions", "BIDIRECTIONAL_SEQUENCE_LSTM": "BidirectionalSequenceLSTMOptions",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "SequenceRNNOptions", "BIDIRECTIONAL_SEQUENCE_RNN": "BidirectionalSequenceRNNOptions",
    "BATCH_TO_SPACE_ND": "BatchToSpaceNDOptions", "SPACE_TO_BATCH_ND": "SpaceToBatchNDOptions", "ATAN2": "ATan2Options", "ADD_N": "AddNOptions",
    "RFFT2D": "Rfft2dOptions", "RANDOM_UNIFORM": "RandomOptions", "RANDOM_STANDARD_NORMAL": "RandomOptions", "MULTINOMIAL": "RandomOptions",
    "STABLEHLO_COMPOSITE": "StableHLOCompositeOptions",
    **{kind: None for kind in ("LOGISTIC", "TANH", "RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "PRELU", "ELU", "LOG", "SQRT", "RSQRT", "FLOOR", "CEIL", "ROUND", "SIN", "EMBEDDING_LOOKUP", "BROADCAST_ARGS")},
}
ENUMS = {
    "fusedActivationFunction": schema.ActivationFunctionType, "padding": schema.Padding, "mode": schema.MirrorPadMode, "weightsFormat": schema.FullyConnectedOptionsWeightsFormat,
    "inDataType": TYPE, "outDataType": TYPE, "outputType": TYPE, "idxOutType": TYPE,
}  # fmt: skip
SHORT = {"act": "fusedActivationFunction"}


def options_of(kind, values):
    """(union's member, the table) of a kind's options; `act` is short for fusedActivationFunction, enums go by name."""
    camel = OPTIONS[kind] if kind in OPTIONS else "".join(part.capitalize() for part in kind.split("_")) + "Options"
    second = camel is not None and not hasattr(schema.BuiltinOptions, camel)
    union = schema.BuiltinOptions2 if second else schema.BuiltinOptions
    if camel is None or not hasattr(union, camel):
        if values:
            raise KeyError(f"{kind} has no options")
        return False, 0, None
    table = getattr(schema, camel + "T")()
    for name in vars(table):
        if name.startswith("stride"):
            setattr(table, name, 1)
    for name, value in values.items():
        name = SHORT.get(name, name)
        if name not in vars(table):
            raise KeyError(f"{camel} has no {name}")
        setattr(table, name, getattr(ENUMS[name], value) if isinstance(value, str) and name in ENUMS else value)
    return second, getattr(union, camel), table


def quantization(scale, zero_point=0, axis=0):
    parameters = schema.QuantizationParametersT()
    parameters.scale = np.atleast_1d(np.asarray(scale, np.float32))
    parameters.zeroPoint = np.broadcast_to(np.asarray(zero_point, np.int64), parameters.scale.shape).copy()
    parameters.quantizedDimension = axis
    return parameters


def packed(codes, bits):
    """Flat, first element in the low bits, last byte filled with zeros."""
    per = 8 // bits
    flat = codes.astype(np.int64).ravel() & ((1 << bits) - 1)
    flat = np.concatenate([flat, np.zeros(-len(flat) % per, np.int64)]).reshape(-1, per)
    return (flat << (np.arange(per) * bits)).sum(1).astype(np.uint8)


def unpacked(data, bits, count):
    per = 8 // bits
    flat = ((data.astype(np.int64)[:, None] >> (np.arange(per) * bits)) & ((1 << bits) - 1)).ravel()[:count]
    return np.where(flat >= 1 << (bits - 1), flat - (1 << bits), flat).astype(np.int8)


class Net:
    """A model under construction: every method gives the index of the tensor it adds."""

    def __init__(self, name="main"):
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.description = "one operator"
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.graph = schema.SubGraphT()
        self.graph.name = name
        self.graph.tensors, self.graph.operators, self.graph.inputs, self.graph.outputs = [], [], [], []
        self.model.subgraphs = [self.graph]
        self.data = {}
        self.constants = 0

    def tensor(self, name, shape, dtype=TYPE.FLOAT32, params=None, content=None, variable=False):
        made = schema.TensorT()
        made.name, made.shape, made.type, made.quantization, made.isVariable = name, np.array(shape, np.int32), dtype, params, variable
        if content is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(content).tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            made.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def input(self, name, samples, params=None, dtype=None):
        """`samples`: [N, …shape] of what the float model gets."""
        self.data[name] = samples
        at = self.tensor(name, samples.shape[1:], TYPE_OF[samples.dtype] if dtype is None else dtype, params)
        self.graph.inputs.append(at)
        return at

    def const(self, values, name=None, params=None, dtype=None):
        """A constant; int4 and int2 (`dtype`) from int8 codes."""
        values = np.asarray(values)
        values = values.astype(np.float32) if values.dtype == np.float64 else values.astype(np.int32) if values.dtype == np.int64 and params is None and dtype is None else values
        self.constants += 1
        dtype = TYPE_OF[values.dtype] if dtype is None else dtype
        content = packed(values, BITS[dtype]) if dtype in BITS else values
        return self.tensor(name or f"const{self.constants}", values.shape, dtype, params, content)

    def variable(self, shape, name, dtype=TYPE.FLOAT32, params=None):
        return self.tensor(name, shape, dtype, params, variable=True)

    def code(self, kind, version=1):
        for i, code in enumerate(self.model.operatorCodes):
            if code.builtinCode == KIND[kind] and code.version == version:
                return i
        code = schema.OperatorCodeT()
        code.builtinCode, code.version = KIND[kind], version
        code.deprecatedBuiltinCode = min(KIND[kind], 127)
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1

    def into(self, kind, inputs, outputs, version=1, **options):
        """An operator whose results are there already."""
        operator = schema.OperatorT()
        operator.opcodeIndex = self.code(kind, version)
        operator.inputs, operator.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        second, member, table = options_of(kind, options)
        if second:
            operator.builtinOptions2Type, operator.builtinOptions2 = member, table
        else:
            operator.builtinOptionsType, operator.builtinOptions = member, table
        self.graph.operators.append(operator)
        return operator

    def op(self, kind, inputs, dtypes=(TYPE.FLOAT32,), shapes=None, params=None, version=1, output=True, **options):
        """An operator and its results (one index, or a list). Shapes that are not given are LiteRT's: see `run.shaped`."""
        made = []
        for i, dtype in enumerate(dtypes):
            name = f"{kind.lower()}{len(self.graph.operators)}" + (f"_{i}" if len(dtypes) > 1 else "")
            made.append(self.tensor(name, shapes[i] if shapes else [], dtype, params[i] if params else None))
        self.into(kind, inputs, made, version, **options)
        if output:
            self.graph.outputs = list(made)
        return made[0] if len(made) == 1 else made

    def bytes(self):
        return written(self.model)


def written(model):
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def opened(path_or_bytes):
    content = path_or_bytes if isinstance(path_or_bytes, bytes) else open(path_or_bytes, "rb").read()
    return schema.ModelT.InitFromPackedBuf(bytearray(content), 0)


def text(name):
    return name.decode() if isinstance(name, bytes) else name or ""


def kind_of(model, operator):
    code = model.operatorCodes[operator.opcodeIndex]
    return KIND_OF.get(max(code.builtinCode, code.deprecatedBuiltinCode), "?")


def scales_of(tensor):
    """The scales of a quantized tensor, None for others."""
    found = tensor.quantization
    return None if found is None or found.scale is None or len(found.scale) == 0 else np.asarray(found.scale, np.float64)


def is_blockwise(tensor):
    return tensor.quantization is not None and tensor.quantization.detailsType == schema.QuantizationDetails.BlockwiseQuantization


def is_quantized(tensor):
    return tensor.type not in (TYPE.FLOAT32, TYPE.FLOAT16) and (scales_of(tensor) is not None or is_blockwise(tensor))


def raw_constant(model, tensor):
    """A constant's elements as they are stored, unpacked; None where the tensor is computed."""
    data = model.buffers[tensor.buffer].data if tensor.buffer < len(model.buffers) else None
    if tensor.buffer == 0 or data is None or len(data) == 0:
        return None
    shape = [] if tensor.shape is None else [int(dim) for dim in tensor.shape]
    data = np.frombuffer(np.asarray(data, np.uint8).tobytes(), np.uint8)
    if tensor.type in BITS:
        return unpacked(data, BITS[tensor.type], int(np.prod(shape))).reshape(shape)
    return np.frombuffer(data.tobytes(), NUMPY[tensor.type]).reshape(shape)


def spread(numbers, shape, axis):
    """One number, or one a channel, so that it fits `shape`."""
    if len(numbers) == 1:
        return np.float64(numbers[0])
    return np.asarray(numbers, np.float64).reshape([-1 if i == axis else 1 for i in range(len(shape))])


def dequantized(tensor, codes, model=None, graph=None):
    """What the integers mean, as float64."""
    found = tensor.quantization
    if is_blockwise(tensor):
        scales = raw_constant(model, graph.tensors[found.details.scales]).astype(np.float64)
        return codes.astype(np.float64) * np.repeat(scales, found.details.blockSize, axis=-1)
    zero_points = [0] if found.zeroPoint is None or len(found.zeroPoint) == 0 else found.zeroPoint
    axis = found.quantizedDimension
    return (codes.astype(np.float64) - spread(zero_points, codes.shape, axis)) * spread(scales_of(tensor), codes.shape, axis)


def encoded(tensor, values):
    """Integers of a tensor with one scale for real numbers: to the nearest, held to the dtype."""
    low, high = INTEGER[tensor.type]
    codes = np.rint(np.asarray(values, np.float64) / scales_of(tensor)[0]) + int(tensor.quantization.zeroPoint[0])
    return np.clip(np.nan_to_num(codes, nan=0.0), low, high).astype(NUMPY[tensor.type])
