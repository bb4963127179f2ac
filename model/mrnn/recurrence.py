"""Recurrent layer over time, whose gradient forms each weight gradient in one product after its loop."""

from typing import Any

import keras
import tensorflow as tf


def run_over_time(cell: keras.layers.Layer, inputs: tf.Tensor, states: list[tf.Tensor]) -> tf.Tensor:
    """Run a cell over the time steps of captions.

    Automatic differentiation of a loop adds a weight gradient of full size at every step. Here the backward loop only
    stores the gradients of the cell's products, and one product over all steps gives the gradient of each matrix. Both
    loops multiply with a transposed matrix, since oneDNN is faster there by a half with few rows.

    Args:
        cell: Cell of `model.mrnn.cells`.
        inputs: Inputs of the cell (B, T, input size).
        states: States before the first step, (B, size) each.

    Returns:
        Outputs (B, T, output size).
    """
    dtype = cell.compute_dtype
    matrices, vectors = cell.matrices, cell.vectors
    weights = [tf.cast(weight, dtype) for weight in (*matrices, *vectors)]
    inputs = tf.transpose(tf.cast(inputs, dtype) + tf.cast(cell.bias, dtype), (1, 0, 2))
    steps, last = tf.shape(inputs)[0], len(matrices)

    @tf.custom_gradient
    def run(inputs: tf.Tensor, *rest: tf.Tensor) -> tuple[tf.Tensor, Any]:
        initial, weights = list(rest[: len(states)]), rest[len(states) :]
        matrices, vectors = weights[:last], weights[last:]
        transposed = [tf.transpose(matrix) for matrix in matrices]

        def array(columns: int | None) -> tf.TensorArray:
            return tf.TensorArray(dtype, steps, clear_after_read=False, element_shape=(inputs.shape[1], columns))

        def forward(step: Any, states: Any, before: Any, factors: Any, products: Any) -> tuple[Any, ...]:
            """Advance the states; store those before the step, and the factors and products of the matrices."""
            factors, products = list(factors), list(products)

            def multiply(index: int, factor: tf.Tensor) -> tf.Tensor:
                product = tf.matmul(factor, transposed[index], transpose_b=True)
                factors[index] = factors[index].write(step, factor)
                products[index] = products[index].write(step, product)
                return product

            after = cell.advance(inputs[step], states, multiply, vectors)
            before = [each.write(step, state) for each, state in zip(before, states, strict=True)]
            return step + 1, after, before, factors, products

        start = (
            0,
            initial,
            [array(state.shape[1]) for state in initial],
            [array(matrix.shape[0]) for matrix in matrices],
            [array(matrix.shape[1]) for matrix in matrices],
        )
        _, final, before, factors, products = tf.while_loop(lambda step, *_: step < steps, forward, start)
        outputs = tf.concat([before[0].stack()[1:], final[0][None]], axis=0)

        def gradient(of_outputs: tf.Tensor) -> list[tf.Tensor]:
            def backward(
                step: Any, of_states: Any, of_vectors: Any, of_inputs: Any, of_products: Any
            ) -> tuple[Any, ...]:
                """Differentiate one step, given the gradient of the states after it."""
                of_products = list(of_products)

                def multiply(index: int, factor: tf.Tensor) -> tf.Tensor:
                    @tf.custom_gradient
                    def stored(factor: tf.Tensor) -> tuple[tf.Tensor, Any]:
                        def of_factor(of_product: tf.Tensor) -> tf.Tensor:
                            of_products[index] = of_products[index].write(step, of_product)
                            return tf.matmul(of_product, matrices[index], transpose_b=True)

                        return products[index].read(step), of_factor

                    return stored(factor)

                states = [each.read(step) for each in before]
                watched = [inputs[step], *states, *vectors]
                with tf.GradientTape(watch_accessed_variables=False) as tape:
                    tape.watch(watched)
                    after = cell.advance(watched[0], watched[1 : 1 + len(states)], multiply, watched[1 + len(states) :])
                of_after = [of_states[0] + of_outputs[step], *of_states[1:]]
                of_input, *others = tape.gradient(after, watched, of_after)
                of_vectors = [total + part for total, part in zip(of_vectors, others[len(states) :], strict=True)]
                return step - 1, others[: len(states)], of_vectors, of_inputs.write(step, of_input), of_products

            start = (
                steps - 1,
                [tf.zeros_like(state) for state in initial],
                [tf.zeros_like(vector) for vector in vectors],
                array(inputs.shape[2]),
                [array(matrix.shape[1]) for matrix in matrices],
            )
            _, of_initial, of_vectors, of_inputs, of_products = tf.while_loop(
                lambda step, *_: step >= 0, backward, start
            )
            of_matrices = [
                tf.matmul(factor.concat(), of_product.concat(), transpose_a=True)
                for factor, of_product in zip(factors, of_products, strict=True)
            ]
            return [of_inputs.stack(), *of_initial, *of_matrices, *of_vectors]

        return outputs, gradient

    outputs = run(inputs, *(tf.cast(state, dtype) for state in states), *weights)
    return tf.transpose(outputs, (1, 0, 2))
