"""The layers of the m-RNN (Mao et al., ICLR 2015, Section 3) that Keras does not have."""

from typing import Any

import keras
from keras import ops

PACKAGE = "mrnn"  # under which the classes are registered in `.keras` files


@keras.saving.register_keras_serializable(PACKAGE)
def scaled_tanh(x: Any) -> Any:
    """g2(x) = 1.7159 tanh(2x/3), element-wise (LeCun et al., "Efficient backprop"; the paper's Equation 3)."""
    return 1.7159 * ops.tanh(x * (2.0 / 3.0))


@keras.saving.register_keras_serializable(PACKAGE)
class FeatureScaling(keras.layers.Layer):
    """(x - mean) / deviation, column by column, with the statistics of the training images.

    Image features (B, D) -> (B, D), float32. Until `adapt` is called it is the identity.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes the two non-trainable weights, of shape (D,)."""
        shape = (input_shape[-1],)
        self.mean = self.add_weight(name="mean", shape=shape, initializer="zeros", trainable=False)
        self.deviation = self.add_weight(name="deviation", shape=shape, initializer="ones", trainable=False)

    def adapt(self, mean: Any, deviation: Any) -> None:
        """Sets the statistics (D,); columns that never vary are left unscaled instead of being blown up."""
        self.mean.assign(mean)
        self.deviation.assign(ops.where(ops.convert_to_tensor(deviation) > 1e-6, deviation, 1.0))

    def call(self, features: Any) -> Any:
        """Scales the features."""
        return (features - self.mean) / self.deviation


@keras.saving.register_keras_serializable(PACKAGE)
class AdditiveRecurrentCell(keras.layers.Layer):
    """r(t) = ReLU(U_r r(t-1) + w(t) + b): the state is mapped and ADDED to the word (the paper's Equation 2).

    For use in `keras.layers.RNN`: words (B, units) and state (B, units) -> output (B, units) and the new state.
    """

    def __init__(self, units: int, **options: Any):
        """`units` is the size of both the state and the word vectors."""
        super().__init__(**options)
        self.units = units
        self.state_size = units
        self.output_size = units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Makes U_r, orthogonal so that gradients keep their length at first, and b."""
        self.kernel = self.add_weight(name="kernel", shape=(self.units, self.units), initializer="orthogonal")
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")

    def call(self, words: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        """One step in time."""
        state = ops.relu(ops.matmul(states[0], self.kernel) + words + self.bias)
        return state, [state]

    def get_config(self) -> dict[str, Any]:
        """For `.keras` files."""
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(PACKAGE)
class MultimodalLayer(keras.layers.Layer):
    """m(t) = g2(V_w w(t) + V_r r(t) + V_I I + b): word, recurrent layer and image meet (the paper's Equation 3).

    The image part is a call of its own, since it is the same at every word: `project_image` once an image, then the
    layer itself for each word.
    """

    def __init__(self, units: int, **options: Any):
        """`units` is the size of the multimodal space."""
        super().__init__(**options)
        self.units = units
        self.from_word = keras.layers.Dense(units, name="from_word")
        self.from_recurrent = keras.layers.Dense(units, use_bias=False, name="from_recurrent")
        self.from_image = keras.layers.Dense(units, use_bias=False, name="from_image")

    def build(self, word_shape: Any, recurrent_shape: Any, image_shape: Any) -> None:
        """Makes V_w with b, V_r and V_I, from the shapes of words, recurrent states and (scaled) image features."""
        self.from_word.build(word_shape)
        self.from_recurrent.build(recurrent_shape)
        self.from_image.build(image_shape)
        self.built = True

    def project_image(self, features: Any) -> Any:
        """V_I I: (..., D) -> (..., units)."""
        return self.from_image(features)

    def call(self, words: Any, recurrent: Any, image: Any) -> Any:
        """words (..., W), recurrent (..., R), image = V_I I (..., units); leading axes broadcast -> (..., units)."""
        return scaled_tanh(self.from_word(words) + self.from_recurrent(recurrent) + image)

    def get_config(self) -> dict[str, Any]:
        """For `.keras` files."""
        return {**super().get_config(), "units": self.units}
