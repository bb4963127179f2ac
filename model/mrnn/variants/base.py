"""Architectural choices in which the published m-RNNs differ."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """One m-RNN. Sizes and dropout are the published ones, which can be overridden.

    Attributes:
        recurrence: `relu`, `gru`, `lstm` or `peephole-lstm`, see `model/mrnn/cells.py`.
        two_embeddings: Whether w = W2 E1[token]; otherwise w = E1[token].
        word_input: Input of the multimodal layer from the token: `w`, `w1` (embedding I) or None.
        image_input: Layers that the image enters: `multimodal`, `recurrent` or `state` (the initial state of the
            recurrent layer); possibly several, or none.
        one_image_map: Whether one matrix projects the image for recurrent and multimodal layer, whose sizes are equal.
        fusion: Fusion of the multimodal layer: `scaled_tanh` of the sum, or the sum of the `relu` of each part; None if
            there is no such layer.
        tied: Non-linearity f of transposed weight sharing, softmax(E1 f(W m + b) + b'): `scaled_tanh` or `relu`; None
            if the softmax has its own weights.
        uniform: Half-width of the uniform distribution of initial weights; None for Glorot's, with orthogonal recurrent
            weights.
        embedding_size: Size of embedding layer I.
        recurrent_size: Size of the recurrent layer and of embedding layer II.
        multimodal_size: Size of the multimodal layer.
        dropout: Rate on tokens, recurrent layer and multimodal layer.
    """

    recurrence: str = "relu"
    two_embeddings: bool = True
    word_input: str | None = "w"
    image_input: tuple[str, ...] = ("multimodal",)
    one_image_map: bool = False
    fusion: str | None = "scaled_tanh"
    tied: str | None = None
    uniform: float | None = None
    embedding_size: int = 128
    recurrent_size: int = 256
    multimodal_size: int = 512
    dropout: float = 0.0
