"""The m-RNN in all its variants: word embedding, recurrent layer, multimodal layer and softmax."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from numpy.typing import NDArray

from model.mrnn.cells import make_cell
from model.mrnn.config import ModelConfig
from model.mrnn.initializers import Initializers
from model.mrnn.layers import Dropout, FeatureScaling, MultimodalLayer, TiedSoftmax
from model.mrnn.recurrence import run_over_time
from model.mrnn.variants import find_variant
from schemas.errors import ArtifactError, ConfigurationError

DEFAULT_CONFIG = ModelConfig()

Image = dict[str, Any]  # projection of images (B, ...) by the layer that it enters; see `MRNN.project_image`


@keras.saving.register_keras_serializable("mrnn")
class MRNN(keras.Model):
    """Multimodal recurrent network P(token_{t+1} | tokens_1..t, image).

    The default is the m-RNN of Mao et al. 2015, Section 3.2 and Figure 2:

        w1(t) = E1[token_t]           w(t) = W2 w1(t)
        r(t)  = ReLU(U_r r(t-1) + w(t))
        m(t)  = g2(V_w w(t) + V_r r(t) + V_I I)
        P     = softmax(U_M m(t) + b)

    The variants leave out, replace or move parts of it, see `model/variants`. Image features are standardized first.
    Dropout is applied where TF-mRNN applies it: to the embedded tokens, to the recurrent layer's output and to the
    multimodal layer; `image_dropout` is applied to the standardized image features.
    """

    def __init__(
        self,
        vocabulary_size: int,
        feature_size: int,
        config: ModelConfig = DEFAULT_CONFIG,
        seed: int = 0,
        name: str = "mrnn",
    ):
        """Create all weights.

        Args:
            vocabulary_size: Number of tokens V.
            feature_size: Number of image features D.
            config: Architecture and dropout rates.
            seed: Seed of the initial weights and of the dropout masks. Global random generators are not touched.
            name: Name of the Keras model.

        Raises:
            ConfigurationError: There is no such variant, or its layers do not fit together in these sizes.
        """
        super().__init__(name=name)
        chosen = find_variant(
            config.variant,
            embedding_size=config.embedding_size,
            recurrent_size=config.recurrent_size,
            multimodal_size=config.multimodal_size,
            dropout=config.dropout,
        )
        initializers = Initializers(seed)
        self.variant, self.choices, self.seed = config.variant, chosen, seed
        self.sizes = {
            "vocabulary_size": vocabulary_size,
            "feature_size": feature_size,
            "embedding_size": chosen.embedding_size,
            "recurrent_size": chosen.recurrent_size,
            "multimodal_size": chosen.multimodal_size,
        }
        self.dropout_rates = {
            "word_dropout": chosen.dropout if config.word_dropout is None else config.word_dropout,
            "recurrent_dropout": chosen.dropout if config.recurrent_dropout is None else config.recurrent_dropout,
            "multimodal_dropout": chosen.dropout if config.multimodal_dropout is None else config.multimodal_dropout,
            "image_dropout": config.image_dropout,
        }
        units = chosen.recurrent_size

        def dense(size: int, name: str, **options: Any) -> keras.layers.Dense:
            kernel = initializers.glorot_uniform()
            return keras.layers.Dense(size, kernel_initializer=kernel, name=name, **options)

        self.scaling = FeatureScaling(name="scaling", dtype="float32")  # in any precision: features may be large
        self.embedding_1 = keras.layers.Embedding(
            vocabulary_size, chosen.embedding_size, initializers.uniform(), name="embedding_1"
        )
        self.embedding_2: Any = dense(units, "embedding_2", use_bias=False) if chosen.two_embeddings else None
        self.cell = make_cell(chosen.recurrence, units, initializers, name="recurrent")
        added = self.cell.input_size
        self.word_to_cell: Any = dense(added, "word_to_cell", use_bias=False) if chosen.recurrence != "relu" else None
        self.multimodal: Any = None
        if chosen.fusion:
            self.multimodal = MultimodalLayer(
                chosen.multimodal_size,
                initializers,
                chosen.fusion,
                word=chosen.word_input is not None,
                image="multimodal" in chosen.image_input,
                name="multimodal",
            )
        own_map = "recurrent" in chosen.image_input and not chosen.one_image_map
        self.image_to_cell: Any = dense(added, "image_to_cell", use_bias=False) if own_map else None
        into_state = "state" in chosen.image_input
        states = sum(self.cell.state_size)
        self.image_to_state: Any = dense(states, "image_to_state", activation="relu") if into_state else None
        self.softmax = (
            TiedSoftmax(vocabulary_size, chosen.embedding_size, chosen.tied, initializers, name="softmax")
            if chosen.tied
            else dense(vocabulary_size, "softmax")
        )
        self.word_dropout, self.recurrent_dropout, self.multimodal_dropout, self.image_dropout = (
            Dropout(rate, seed=seed + place) for place, rate in enumerate(self.dropout_rates.values(), start=1)
        )
        self._make_weights()

    @property
    def recurrent_sees_image(self) -> bool:
        """Whether the recurrent layer's states depend on the image."""
        return bool({"recurrent", "state"} & {*self.choices.image_input})

    @property
    def image_enters_last(self) -> bool:
        """Whether the image enters the multimodal layer and nothing before it."""
        return self.choices.image_input == ("multimodal",)

    def embed(self, words: Any, training: bool = False) -> tuple[Any, Any]:
        """Embed tokens for the recurrent and for the multimodal layer.

        Args:
            words: Token ids int32 (...).
            training: Whether dropout is applied.

        Returns:
            Inputs of the recurrent layer and of the multimodal layer, (..., size) each.
        """
        first = self.embedding_1(words)
        last = self.word_dropout(self.embedding_2(first) if self.embedding_2 else first, training=training)
        direct = self.word_dropout(first, training=training) if self.choices.word_input == "w1" else last
        return last, direct

    def project_image(self, features: Any, training: bool = False) -> Image:
        """Project images for the layers that they enter.

        Args:
            features: Features (B, D) of the backbone.
            training: Whether dropout is applied.

        Returns:
            By layer:

            * `multimodal`: V_I I (B, multimodal_size),
            * `recurrent`: U_I I (B, input size of the cell), added to the embedded tokens before the cell,
            * `state`: the concatenated initial states (B, state sizes).
        """
        places = self.choices.image_input
        if not places:
            return {}
        scaled = self.image_dropout(self.scaling(ops.cast(features, "float32")), training=training)
        image = {}
        if "multimodal" in places:
            image["multimodal"] = self.multimodal.project_image(scaled)
        if "recurrent" in places:
            image["recurrent"] = self.image_to_cell(scaled) if self.image_to_cell else image["multimodal"]
        if "state" in places:
            image["state"] = self.image_to_state(scaled)
        return image

    def initial_state(self, batch: int, image: Image) -> list[Any]:
        """Return the recurrent layer's states before the first token.

        Args:
            batch: Number of captions.
            image: Projected images of the captions.

        Returns:
            States (batch, size) of the image, or 0 in variants whose state does not start from it.
        """
        sizes = self.cell.state_size
        if "state" in image:
            return list(ops.split(image["state"], len(sizes), axis=1))
        return [ops.zeros((batch, size)) for size in sizes]

    def run_recurrent(self, words: Any, image: Image) -> Any:
        """Run the recurrent layer over captions.

        Args:
            words: Embedded tokens (B, T, W).
            image: Projected images of the captions.

        Returns:
            Outputs (B, T, R).
        """
        if "recurrent" in image:
            image = {**image, "recurrent": image["recurrent"][:, None, :]}
        state = self.initial_state(ops.shape(words)[0], image)
        return run_over_time(self.cell, self._cell_inputs(words, image), state)

    def recurrent_step(self, words: Any, state: list[Any], image: Image) -> tuple[Any, list[Any]]:
        """Run the recurrent layer for one token of each caption.

        Args:
            words: Embedded tokens (B, W).
            state: States before them, (B, size) each.
            image: Projected images of the captions.

        Returns:
            Outputs r (B, R) and the new states.
        """
        output, new_state = self.cell(self._cell_inputs(words, image), state)
        return output, new_state

    def fuse_language(self, words: Any, recurrent: Any, training: bool = False) -> Any:
        """Project the tokens so far for the multimodal layer.

        Args:
            words: Embedded tokens (..., W).
            recurrent: Outputs of the recurrent layer (..., R).
            training: Whether dropout is applied.

        Returns:
            V_w w + V_r r (..., multimodal_size), or r in variants without a multimodal layer.
        """
        recurrent = self.recurrent_dropout(recurrent, training=training)
        return self.multimodal.project_language(words, recurrent) if self.multimodal else recurrent

    def word_logits(self, language: Any, image: Image, training: bool = False) -> Any:
        """Compute the logits of the next token.

        Args:
            language: Output of `fuse_language` at some positions, (..., size).
            image: Projected images of these positions.
            training: Whether dropout is applied.

        Returns:
            Logits (..., vocabulary_size).
        """
        joint = self._fuse(language, image, training)
        return self.softmax(joint, self.embedding_1.embeddings) if self.choices.tied else self.softmax(joint)

    def softmax_inputs(self, language: Any, image: Image) -> Any:
        """Compute the inputs (..., H) of the output matrix: logits are `inputs @ kernel + bias`, see `softmax_weights`.

        Args:
            language: Output of `fuse_language` at some positions, (..., size).
            image: Projected images of these positions.
        """
        joint = self._fuse(language, image)
        return self.softmax.to_embedding(joint) if self.choices.tied else joint

    def softmax_weights(self) -> tuple[Any, Any]:
        """Return the output matrix (H, V) and its bias (V,)."""
        kernel = ops.transpose(self.embedding_1.embeddings) if self.choices.tied else self.softmax.kernel
        return tf.convert_to_tensor(kernel), tf.convert_to_tensor(self.softmax.bias)

    def call(self, tokens: Any, features: Any, training: bool = False) -> Any:
        """Compute the logits of the next token at each position of captions.

        Args:
            tokens: Token ids int32 (B, T), starting with `<bos>`.
            features: Image features (B, D).
            training: Whether dropout is applied.

        Returns:
            Logits (B, T, vocabulary_size).
        """
        words, direct = self.embed(tokens, training)
        image = self.project_image(features, training)
        language = self.fuse_language(direct, self.run_recurrent(words, image), training)
        return self.word_logits(language, {layer: of_layer[:, None, :] for layer, of_layer in image.items()}, training)

    def step(self, tokens: Any, state: list[Any], image: Image) -> tuple[Any, list[Any]]:
        """Advance each caption by one token; see `StepModel.step`.

        Args:
            tokens: Token ids int32 (B,).
            state: States before them, (B, size) each.
            image: Projected images of the captions.

        Returns:
            Logits (B, vocabulary_size) and the new states.
        """
        words, direct = self.embed(tokens)
        recurrent, state = self.recurrent_step(words, state, image)
        return self.word_logits(self.fuse_language(direct, recurrent), image), state

    def refine(self, features: Any) -> Any:
        """Refine image features (B, D) to the activations (B, refined_size) of the layer that the image enters.

        These are g2(V_I I) of the multimodal layer (the paper's Section 8.1), the initial states, or ReLU(U_I I) if the
        image enters the recurrent layer only.
        """
        image = self.project_image(features)
        if "multimodal" in image:
            return self.multimodal(image["multimodal"])  # without any language
        return image["state"] if "state" in image else ops.relu(image["recurrent"])

    @property
    def refined_size(self) -> int:
        """Length of a refined feature vector.

        Raises:
            ConfigurationError: The variant does not see images.
        """
        places = self.choices.image_input
        if not places:
            raise ConfigurationError(f"The variant {self.variant} does not see images and has no refined features.")
        if "multimodal" in places:
            return int(self.sizes["multimodal_size"])
        return sum(self.cell.state_size) if "state" in places else self.cell.input_size

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of `from_config`, with all sizes and rates resolved; for `.keras` files."""
        return {**self.sizes, **self.dropout_rates, "variant": self.variant, "seed": self.seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> "MRNN":
        """Create the network that `get_config` describes, with initial weights."""
        options = {field.name for field in fields(ModelConfig)} & config.keys()
        own = {name: value for name, value in config.items() if name not in options}
        return cls(config=ModelConfig(**{name: config[name] for name in options}), **own)

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Do nothing: the constructor creates all weights."""

    def _fuse(self, language: Any, image: Image, training: bool = False) -> Any:
        """Return the input of the softmax layer."""
        if not self.multimodal:
            return language
        return self.multimodal_dropout(self.multimodal(language, image.get("multimodal")), training=training)

    def _cell_inputs(self, words: Any, image: Image) -> Any:
        inputs = self.word_to_cell(words) if self.word_to_cell else words
        return inputs + image["recurrent"] if "recurrent" in image else inputs

    def _make_weights(self) -> None:
        """Create all weights, so that the network is complete before it processes data."""
        choices, features = self.choices, (None, self.sizes["feature_size"])
        first, recurrent = (None, choices.embedding_size), (None, choices.recurrent_size)
        word = first
        self.scaling.build(features)
        self.embedding_1.build((None,))
        if self.embedding_2:
            self.embedding_2.build(first)
            word = recurrent
        if self.word_to_cell:
            self.word_to_cell.build(word)
        self.cell.build((None, self.cell.input_size))
        if self.multimodal:
            self.multimodal.build(first if choices.word_input == "w1" else word, recurrent, features)
        for image_map in (self.image_to_cell, self.image_to_state):
            if image_map:
                image_map.build(features)
        self.softmax.build((None, choices.multimodal_size) if self.multimodal else recurrent)
        if choices.uniform:
            random = np.random.default_rng(self.seed)
            for variable in self.trainable_variables:
                if variable is not self.cell.bias:
                    variable.assign(random.uniform(-choices.uniform, choices.uniform, variable.shape))
        self.built = True


def load_network(path: Path) -> MRNN:
    """Load a trained network from a `.keras` file, without running code of the file.

    Raises:
        ArtifactError: The file is missing, damaged or not an m-RNN.
    """
    try:
        network = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # what Keras raises on a damaged file depends on the damage
        first_line = str(error).strip().partition("\n")[0]
        raise ArtifactError(f"{path} cannot be loaded as a Keras model ({first_line}); train it again.") from error
    if not isinstance(network, MRNN):
        raise ArtifactError(
            f"{path} contains a {type(network).__name__}, not an m-RNN; give the model.keras of a release."
        )
    return network


def refine_features(network: MRNN, blocks: Iterator[NDArray[np.floating]]) -> Iterator[NDArray[np.float32]]:
    """Refine blocks of features (n, D) by `MRNN.refine`; yields float32 (n, refined size)."""
    for block in blocks:
        yield network.refine(tf.constant(block)).numpy()
