"""One operator of a model's object tree as a model of its own."""
import numpy as np


def alone(model, position, known):
    """Leaves the operator at `position` of the first subgraph; what it reads of the tensors in `known` are its inputs. Gives inputs and outputs."""
    graph = model.subgraphs[0]
    operator = graph.operators[position]
    graph.operators = [operator]
    inputs = list(dict.fromkeys(int(i) for i in operator.inputs if int(i) in known))
    outputs = [int(i) for i in operator.outputs]
    graph.inputs, graph.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
    model.signatureDefs = []
    kept = {*map(int, operator.inputs), *outputs}
    for i, tensor in enumerate(graph.tensors):
        if i not in kept:
            model.buffers[tensor.buffer].data = None
    return inputs, outputs
