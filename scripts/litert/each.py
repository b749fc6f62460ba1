"""Every operator of a whole quantized model on its own: fed with what the interpreter's kernels gave for the operators before it."""
import numpy as np

from . import flat, run, simulate


def _worst(content, sample):
    file = simulate.File(content)
    interpreter = run.interpreter_of(content, "builtin", every_tensor=True)
    interpreter.allocate_tensors()
    for detail, given in zip(interpreter.get_input_details(), sample):
        interpreter.set_tensor(detail["index"], np.asarray(given, detail["dtype"], order="C").reshape(detail["shape"]))
    interpreter.invoke()

    def real(i):
        if i in file.constants:
            return file.constants[i]
        got = interpreter.get_tensor(i)
        return flat.dequantized(file.tensors[i], got) if flat.is_quantized(file.tensors[i]) else got

    rows = []
    for at, (kind, operator) in enumerate(file.operators()):
        outs = [int(i) for i in operator.outputs]
        if not any(flat.is_quantized(file.tensors[int(i)]) and int(i) not in file.constants for i in (*operator.inputs, *operator.outputs) if i >= 0):
            continue
        try:
            values = {int(i): real(int(i)) for i in operator.inputs if i >= 0}
            wanted = file.results(at, kind, operator, values)
            for i, result in zip(outs, wanted):
                tensor, got = file.tensors[i], interpreter.get_tensor(i)
                if flat.is_quantized(tensor):
                    off = np.abs(flat.encoded(tensor, np.reshape(result, got.shape)).astype(np.int64) - got.astype(np.int64)).max(initial=0)
                elif tensor.type == flat.TYPE.FLOAT32:
                    continue
                else:
                    off = np.count_nonzero(np.reshape(result, got.shape) != got)
                rows.append((float(off), kind, flat.text(tensor.name)))
        except Exception as error:  # what cannot be taken out: operators that run subgraphs, resources
            rows.append((-1.0, kind, str(error).split("\n")[0][:100]))
    return rows


def worst(content, sample):
    """(steps off, kind, result) of every operator that has integers, the worst first; −1: cannot be taken out of the model."""
    return sorted(run.apart(_worst, content, sample, seconds=600), reverse=True)
