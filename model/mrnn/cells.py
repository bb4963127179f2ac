"""The recurrent layers of the m-RNNs, as cells: one time step each; `model.mrnn.recurrence` runs them over captions.

A cell has `input_size`, the size of the vectors that it adds to its mapped state. In the paper these are the embedded
tokens; for gated cells a matrix maps the embedded tokens to them, for all tokens at once. An image in the recurrent
layer is added to them too.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from model.mrnn.initializers import Initializers

Multiply = Callable[[int, Any], Any]  # (index of a matrix, its left factor (B, n)) -> their product


class Cell(keras.layers.Layer):
    """Base class of the cells.

    Attributes:
        input_size: Size of the input.
        output_size: Size of the output, which is the first state.
        state_size: Sizes of the states.
        bias: Weight that is added to the input.
        matrices: Weights that are multiplied with states.
        vectors: Further weights, small ones.
    """

    input_size: int
    output_size: int
    state_size: list[int]

    @property
    @abstractmethod
    def matrices(self) -> list[keras.Variable]:
        """Weights that are multiplied with states."""

    @property
    def vectors(self) -> list[keras.Variable]:
        """Further weights, small ones."""
        return []

    @abstractmethod
    def advance(self, inputs: Any, states: Sequence[Any], multiply: Multiply, vectors: Sequence[Any]) -> list[Any]:
        """Compute the states after one time step.

        Args:
            inputs: Input with the bias added (B, input size).
            states: States before the step, (B, size) each.
            multiply: Multiplies a factor (B, n) with one of `matrices`, given by its index.
            vectors: Values of `vectors`.
        """

    def call(self, inputs: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        """Compute one time step: the output, and the new states."""
        matrices = self.matrices
        after = self.advance(
            inputs + self.bias, states, lambda index, factor: ops.matmul(factor, matrices[index]), self.vectors
        )
        return after[0], after


class AdditiveCell(Cell):
    """r(t) = ReLU(U_r r(t-1) + x(t) + b): the token is added to the mapped state (Mao et al. 2015, Equation 2).

    x (B, units), states [r (B, units)] -> r, [r].
    """

    def __init__(self, units: int, initializers: Initializers, **options: Any):
        """Create the cell; `units` is the size of the state and of the input."""
        super().__init__(**options)
        self.initializers = initializers
        self.input_size = self.output_size = units
        self.state_size = [units]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create U_r, orthogonal so that gradients keep their length at first, and b."""
        units = self.output_size
        self.kernel = self.add_weight(name="kernel", shape=(units, units), initializer=self.initializers.orthogonal())
        self.bias = self.add_weight(name="bias", shape=(units,), initializer="zeros")

    @property
    def matrices(self) -> list[keras.Variable]:
        """U_r."""
        return [self.kernel]

    def advance(self, inputs: Any, states: Sequence[Any], multiply: Multiply, vectors: Sequence[Any]) -> list[Any]:
        """Compute the state after one time step."""
        return [ops.relu(multiply(0, states[0]) + inputs)]


class GRUCell(Cell):
    """The gated recurrent unit as in TF-mRNN (Cho et al. 2014), with x(t) = [x_r x_z x_c] = W w(t).

        r = sigmoid(x_r + U_r h(t-1) + b_r)        z = sigmoid(x_z + U_z h(t-1) + b_z)
        c = tanh(x_c + U_c (r * h(t-1)) + b_c)     h(t) = z * h(t-1) + (1 - z) * c

    x (B, 3 units), states [h (B, units)] -> h, [h].
    """

    def __init__(self, units: int, initializers: Initializers, **options: Any):
        """Create the cell; `units` is the size of the state."""
        super().__init__(**options)
        self.initializers = initializers
        self.input_size, self.output_size = 3 * units, units
        self.state_size = [units]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create [U_r U_z], U_c and b; the gates' biases start at 1, so that the state is kept at first."""
        units = self.output_size
        self.gates = self.add_weight(name="gates", shape=(units, 2 * units), initializer=self.initializers.orthogonal())
        self.candidate = self.add_weight(
            name="candidate", shape=(units, units), initializer=self.initializers.orthogonal()
        )
        self.bias = self.add_weight(name="bias", shape=(3 * units,), initializer=_part_is_one(0, 2 * units))

    @property
    def matrices(self) -> list[keras.Variable]:
        """[U_r U_z] and U_c."""
        return [self.gates, self.candidate]

    def advance(self, inputs: Any, states: Sequence[Any], multiply: Multiply, vectors: Sequence[Any]) -> list[Any]:
        """Compute the state after one time step."""
        units, (state,) = self.output_size, states
        gates = ops.sigmoid(inputs[:, : 2 * units] + multiply(0, state))
        reset, keep = gates[:, :units], gates[:, units:]
        candidate = ops.tanh(inputs[:, 2 * units :] + multiply(1, reset * state))
        return [keep * state + (1.0 - keep) * candidate]


class LSTMCell(Cell):
    """Long short-term memory, with x(t) = [x_i x_c x_f x_o] = W w(t); peepholes p (Gers and Schmidhuber) if wanted.

        i = sigmoid(x_i + U_i h(t-1) + p_i * c(t-1) + b_i)    f = sigmoid(x_f + U_f h(t-1) + p_f * c(t-1) + b_f)
        c(t) = f * c(t-1) + i * tanh(x_c + U_c h(t-1) + b_c)
        o = sigmoid(x_o + U_o h(t-1) + p_o * c(t) + b_o)      h(t) = o * tanh(c(t))

    x (B, 4 units), states [h, c] of (B, units) -> h, [h, c].
    """

    def __init__(self, units: int, initializers: Initializers, peepholes: bool = False, **options: Any):
        """Create the cell; `units` is the size of h and of c."""
        super().__init__(**options)
        self.initializers = initializers
        self.input_size, self.output_size = 4 * units, units
        self.state_size = [units, units]
        self.peepholes = peepholes

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create U, b and [p_i p_f p_o]; the bias of f starts at 1, so that c is kept at first."""
        units = self.output_size
        self.kernel = self.add_weight(
            name="kernel", shape=(units, 4 * units), initializer=self.initializers.orthogonal()
        )
        self.bias = self.add_weight(name="bias", shape=(4 * units,), initializer=_part_is_one(2 * units, 3 * units))
        if self.peepholes:
            self.peephole = self.add_weight(name="peephole", shape=(3, units), initializer="zeros")

    @property
    def matrices(self) -> list[keras.Variable]:
        """U."""
        return [self.kernel]

    @property
    def vectors(self) -> list[keras.Variable]:
        """[p_i p_f p_o], if there are peepholes."""
        return [self.peephole] if self.peepholes else []

    def advance(self, inputs: Any, states: Sequence[Any], multiply: Multiply, vectors: Sequence[Any]) -> list[Any]:
        """Compute the states after one time step."""
        hidden, cell = states
        i, c, f, o = ops.split(inputs + multiply(0, hidden), 4, axis=1)
        if vectors:
            i, f = i + vectors[0][0] * cell, f + vectors[0][1] * cell
        cell = ops.sigmoid(f) * cell + ops.sigmoid(i) * ops.tanh(c)
        if vectors:
            o = o + vectors[0][2] * cell
        return [ops.sigmoid(o) * ops.tanh(cell), cell]


def make_cell(recurrence: str, units: int, initializers: Initializers, name: str) -> Cell:
    """Create the cell of a variant.

    Args:
        recurrence: See `Variant.recurrence`.
        units: Size of the state.
        initializers: Source of the initial weights.
        name: Name of the layer.
    """
    if recurrence == "relu":
        return AdditiveCell(units, initializers, name=name)
    if recurrence == "gru":
        return GRUCell(units, initializers, name=name)
    return LSTMCell(units, initializers, peepholes=recurrence == "peephole-lstm", name=name)


def _part_is_one(start: int, stop: int) -> Any:
    """Return an initializer of vectors: ones from `start` to `stop`, zeros elsewhere."""

    def initialize(shape: tuple[int, ...], dtype: Any = None) -> Any:
        positions = ops.arange(shape[0])
        return ops.cast((positions >= start) & (positions < stop), dtype)

    return initialize
