"""The recurrent cells against their equations in NumPy, and their gradients by small differences."""

import numpy as np
import pytest
import tensorflow as tf

from model.mrnn.cells import AdditiveCell, GRUCell, LSTMCell, make_cell
from model.mrnn.initializers import Initializers
from model.mrnn.recurrence import run_over_time
from model.precision import precision
from tests.support.equations import plain_gru, plain_lstm, plain_relu

UNITS, BATCH, STEPS = 3, 2, 5
KINDS = ("relu", "gru", "lstm", "peephole-lstm")


PLAIN = {"relu": plain_relu, "gru": plain_gru, "lstm": plain_lstm, "peephole-lstm": plain_lstm}


def random_cell(kind):
    """A cell with random weights, and these by name."""
    random = np.random.default_rng(KINDS.index(kind))
    cell = make_cell(kind, UNITS, Initializers(0), name="cell")
    cell.build((None, cell.input_size))
    for variable in cell.variables:
        variable.assign(random.standard_normal(variable.shape))
    return cell, {variable.name: variable.numpy().astype(np.float64) for variable in cell.variables}, random


@pytest.mark.parametrize("kind", KINDS)
def test_cell_step_matches_the_equations(kind):
    cell, weights, random = random_cell(kind)
    x = random.standard_normal((BATCH, cell.input_size))
    states = [random.standard_normal((BATCH, size)) for size in cell.state_size]
    output, after = cell(x.astype(np.float32), [state.astype(np.float32) for state in states])
    expected, expected_after = PLAIN[kind](weights, x, states)
    np.testing.assert_allclose(output, expected, atol=1e-5)
    for state, expected_state in zip(after, expected_after, strict=True):
        np.testing.assert_allclose(state, expected_state, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_over_time_it_is_a_loop_from_the_given_state(kind):
    cell, weights, random = random_cell(kind)
    x = random.standard_normal((BATCH, STEPS, cell.input_size))
    states = [random.standard_normal((BATCH, size)) for size in cell.state_size]
    outputs = run_over_time(cell, tf.constant(x, tf.float32), [tf.constant(state, tf.float32) for state in states])
    for step in range(STEPS):
        expected, states = PLAIN[kind](weights, x[:, step], states)
        np.testing.assert_allclose(outputs[:, step], expected, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_through_time_are_those_of_small_differences(kind):
    """The loss is computed in NumPy and double precision, so that the differences are fine."""
    cell, weights, random = random_cell(kind)
    x = random.standard_normal((BATCH, STEPS, cell.input_size))
    target = random.standard_normal((BATCH, STEPS, UNITS))

    def plain_loss(weights, x):
        states, loss = [np.zeros((BATCH, size)) for size in cell.state_size], 0.0
        for step in range(STEPS):
            output, states = PLAIN[kind](weights, x[:, step], states)
            loss += float((output * target[:, step]).sum())
        return loss

    inputs, zeros = tf.constant(x, tf.float32), [tf.zeros((BATCH, size)) for size in cell.state_size]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        loss = tf.reduce_sum(run_over_time(cell, inputs, zeros) * tf.constant(target, tf.float32))
    of_inputs, *of_weights = tape.gradient(loss, [inputs, *cell.trainable_variables])
    assert float(loss) == pytest.approx(plain_loss(weights, x), rel=1e-4)

    distance = 1e-6

    def slope(change):
        return (plain_loss(*change(distance)) - plain_loss(*change(-distance))) / (2 * distance)

    for position in np.ndindex(x.shape):
        unit = np.zeros(x.shape)
        unit[position] = 1.0
        measured = slope(lambda step, unit=unit: (weights, x + step * unit))
        assert of_inputs.numpy()[position] == pytest.approx(measured, rel=1e-3, abs=1e-4)
    for variable, gradient in zip(cell.trainable_variables, of_weights, strict=True):
        for position in np.ndindex(tuple(variable.shape)):
            unit = np.zeros(variable.shape)
            unit[position] = 1.0
            name = variable.name
            measured = slope(lambda step, name=name, unit=unit: ({**weights, name: weights[name] + step * unit}, x))
            assert gradient.numpy()[position] == pytest.approx(measured, rel=1e-3, abs=1e-4), name


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_over_time_match_automatic_ones(kind, compiled):
    cell, _, random = random_cell(kind)
    inputs = tf.constant(random.standard_normal((BATCH, STEPS, cell.input_size)), tf.float32)
    initial = [tf.constant(random.standard_normal((BATCH, size)), tf.float32) for size in cell.state_size]
    weighting = tf.constant(random.standard_normal((BATCH, STEPS, UNITS)), tf.float32)

    def unrolled(cell, inputs, states):
        outputs = []
        for step in range(STEPS):
            output, states = cell(inputs[:, step], states)
            outputs.append(output)
        return tf.stack(outputs, axis=1)

    def gradients(run, inputs, initial):
        with tf.GradientTape() as tape:
            tape.watch([inputs, initial])
            loss = tf.reduce_sum(run(cell, inputs, initial) * weighting)
        return tape.gradient(loss, [inputs, *initial, *cell.trainable_variables])

    ours = tf.function(gradients, reduce_retracing=True) if compiled else gradients
    for found, expected in zip(ours(run_over_time, inputs, initial), gradients(unrolled, inputs, initial), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_cells_over_time_compute_in_their_precision(kind):
    with precision("mixed_float16"):
        cell, _, random = random_cell(kind)
    inputs = tf.constant(random.standard_normal((BATCH, STEPS, cell.input_size)), tf.float32)
    with tf.GradientTape() as tape:
        outputs = run_over_time(cell, inputs, [tf.zeros((BATCH, size)) for size in cell.state_size])
    assert outputs.dtype == tf.float16
    gradients = tape.gradient(outputs, cell.trainable_variables)
    assert {gradient.dtype for gradient in gradients} == {tf.float32}


def test_additive_cell_matches_hand_computation():
    cell = AdditiveCell(2, Initializers(0))
    cell.build((None, 2))
    cell.kernel.assign([[1.0, 2.0], [3.0, 4.0]])
    cell.bias.assign([0.5, -20.0])
    output, _ = cell(np.array([[10.0, 1.0]], np.float32), [np.array([[1.0, 2.0]], np.float32)])
    np.testing.assert_allclose(output, [[1.0 + 6.0 + 10.0 + 0.5, 0.0]])  # the second unit is below zero


def test_additive_cell_initialization_is_orthogonal():
    cell = AdditiveCell(4, Initializers(0))
    cell.build((None, 4))
    kernel = cell.kernel.numpy()
    np.testing.assert_allclose(kernel @ kernel.T, np.eye(4), atol=1e-5)


@pytest.mark.parametrize(
    ("cell", "kept"),
    [(GRUCell(2, Initializers(0)), [1, 1, 1, 1, 0, 0]), (LSTMCell(2, Initializers(0)), [0, 0, 0, 0, 1, 1, 0, 0])],
)
def test_new_gated_cells_lean_to_keep_their_state(cell, kept):
    cell.build((None, cell.input_size))
    np.testing.assert_array_equal(cell.bias.numpy(), kept)
