"""The m-RNN of the ICLR 2015 paper: two word embeddings, a recurrent layer, the multimodal layer and a softmax."""

from pathlib import Path
from typing import Any

import keras

from model.layers import PACKAGE, AdditiveRecurrentCell, FeatureScaling, MultimodalLayer
from schemas.errors import ArtifactError


@keras.saving.register_keras_serializable(PACKAGE)
class MRNN(keras.Model):
    """P(word_{t+1} | words_1..t, image) (Mao et al. 2015, Section 3.2 and Figure 2).

        w1(t) = E1[word_t]            w(t) = W2 w1(t)
        r(t)  = ReLU(U_r r(t-1) + w(t))
        m(t)  = g2(V_w w(t) + V_r r(t) + V_I I)
        P     = softmax(U_M m(t) + b)

    Sizes default to the paper's: embedding I 128, embedding II and recurrent layer 256, multimodal layer 512. Dropout
    (off in the paper, as far as known) acts at the three places of TF-mRNN: on the word embedding, on the recurrent
    layer's output and on the multimodal layer; `image_dropout` on the scaled image features.
    """

    def __init__(
        self,
        vocabulary_size: int,
        feature_size: int,
        embedding_size: int = 128,
        recurrent_size: int = 256,
        multimodal_size: int = 512,
        dropout: float = 0.0,
        image_dropout: float = 0.0,
        seed: int = 0,
        **options: Any,
    ):
        """`seed` fixes the initial weights and the dropout masks."""
        super().__init__(**{"name": "mrnn", **options})
        # Layers draw the seeds of their initial weights when they are made; equal seeds give equal networks.
        keras.utils.set_random_seed(seed)
        self.sizes = {
            "vocabulary_size": vocabulary_size,
            "feature_size": feature_size,
            "embedding_size": embedding_size,
            "recurrent_size": recurrent_size,
            "multimodal_size": multimodal_size,
        }
        self.dropout_rates = {"dropout": dropout, "image_dropout": image_dropout}
        self.seed = seed
        self.scaling = FeatureScaling(name="scaling")
        self.embedding_1 = keras.layers.Embedding(vocabulary_size, embedding_size, name="embedding_1")
        self.embedding_2 = keras.layers.Dense(recurrent_size, use_bias=False, name="embedding_2")
        self.cell = AdditiveRecurrentCell(recurrent_size, name="recurrent")
        self.recurrent = keras.layers.RNN(self.cell, return_sequences=True, name="recurrent_over_time")
        self.multimodal = MultimodalLayer(multimodal_size, name="multimodal")
        self.softmax = keras.layers.Dense(vocabulary_size, name="softmax")
        self.word_dropout = keras.layers.Dropout(dropout, seed=seed + 1)
        self.recurrent_dropout = keras.layers.Dropout(dropout, seed=seed + 2)
        self.multimodal_dropout = keras.layers.Dropout(dropout, seed=seed + 3)
        self.image_dropout = keras.layers.Dropout(image_dropout, seed=seed + 4)
        self._make_weights()

    def embed(self, words: Any, training: bool = False) -> Any:
        """Word ids (...) -> w (..., recurrent_size), both embedding layers."""
        return self.word_dropout(self.embedding_2(self.embedding_1(words)), training=training)

    def project_image(self, features: Any, training: bool = False) -> Any:
        """Image features (B, D) -> V_I I (B, multimodal_size); D-vectors as the CNN gave them."""
        scaled = self.scaling(keras.ops.cast(features, "float32"))
        return self.multimodal.project_image(self.image_dropout(scaled, training=training))

    def word_logits(self, words: Any, recurrent: Any, image: Any, training: bool = False) -> Any:
        """w and r at some positions and V_I I of their images -> logits (..., vocabulary_size) of the next word."""
        recurrent = self.recurrent_dropout(recurrent, training=training)
        joint = self.multimodal_dropout(self.multimodal(words, recurrent, image), training=training)
        return self.softmax(joint)

    def call(self, tokens: Any, features: Any, training: bool = False) -> Any:
        """tokens int32 (B, T), starting with `<bos>`, and features (B, D) -> logits (B, T, vocabulary_size)."""
        words = self.embed(tokens, training)
        image = self.project_image(features, training)[:, None, :]
        return self.word_logits(words, self.recurrent(words), image, training)

    def step(self, tokens: Any, state: Any, image: Any) -> tuple[Any, Any]:
        """One word of each caption: tokens (B,), r (B, recurrent_size), V_I I -> logits (B, vocabulary_size), new r."""
        words = self.embed(tokens)
        recurrent, (state,) = self.cell(words, [state])
        return self.word_logits(words, recurrent, image), state

    def initial_state(self, batch: int) -> Any:
        """r(0) = 0, (batch, recurrent_size)."""
        return keras.ops.zeros((batch, self.sizes["recurrent_size"]))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, for `.keras` files."""
        return {**self.sizes, **self.dropout_rates, "seed": self.seed, "name": self.name}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Nothing is left to do: the constructor makes all weights."""

    def _make_weights(self) -> None:
        """Makes every weight at once, so that a network is whole before it sees data."""
        embedding, recurrent = self.sizes["embedding_size"], self.sizes["recurrent_size"]
        self.scaling.build((None, self.sizes["feature_size"]))
        self.embedding_1.build((None,))
        self.embedding_2.build((None, embedding))
        self.recurrent.build((None, None, recurrent))
        self.multimodal.build((None, recurrent), (None, recurrent), (None, self.sizes["feature_size"]))
        self.softmax.build((None, self.sizes["multimodal_size"]))
        self.built = True


def load_network(path: Path) -> MRNN:
    """Loads a trained network from a `.keras` file, without running any code that the file brings.

    Raises:
        ArtifactError: the file is missing, damaged or not an m-RNN.
    """
    try:
        network = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # what Keras raises on a damaged file depends on the damage
        first_line = str(error).strip().partition("\n")[0]
        raise ArtifactError(f"{path} cannot be loaded as a Keras model ({first_line}); train it again.") from error
    if not isinstance(network, MRNN):
        raise ArtifactError(
            f"{path} holds a {type(network).__name__}, not an m-RNN; give the model.keras of a release."
        )
    return network
