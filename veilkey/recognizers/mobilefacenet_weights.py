"""Reader for MobileFaceNet's .tflite file: its convolutions in the order in which they run."""

from pathlib import Path

import numpy as np
from tf2onnx.tflite.BuiltinOperator import BuiltinOperator
from tf2onnx.tflite.Model import Model
from tf2onnx.tflite.SubGraph import SubGraph

from veilkey.recognizers.port_layers import Convolution


def read_layers(path: Path) -> list[Convolution]:
    """All convolutions, from the input to the output, each with the PReLU that follows it.

    The file has PReLU in five operations, max(x, 0) + (x - |x|) * half, of which the product carries the slope.
    """
    model = Model.GetRootAsModel(path.read_bytes(), 0)
    graph = model.Subgraphs(0)
    layers: list[Convolution] = []
    for at in range(graph.OperatorsLength()):
        operator = graph.Operators(at)
        kind = model.OperatorCodes(operator.OpcodeIndex()).DeprecatedBuiltinCode()
        if kind == BuiltinOperator.CONV_2D:
            _, kernel, bias = operator.InputsAsNumpy()
            values = _constant(model, graph, kernel).transpose(1, 2, 3, 0)
            layers.append(Convolution(values, _constant(model, graph, bias), None))
        elif kind == BuiltinOperator.DEPTHWISE_CONV_2D:
            _, kernel, bias = operator.InputsAsNumpy()
            layers.append(Convolution(_constant(model, graph, kernel)[0], _constant(model, graph, bias), None))
        elif kind == BuiltinOperator.MUL:
            half = _constant(model, graph, operator.Inputs(0))
            layers[-1] = Convolution(layers[-1].kernel, layers[-1].bias, 2 * half)
    return layers


def _constant(model: Model, graph: SubGraph, index: int) -> np.ndarray:
    tensor = graph.Tensors(int(index))
    return np.frombuffer(model.Buffers(tensor.Buffer()).DataAsNumpy(), "<f4").reshape(tensor.ShapeAsNumpy())
