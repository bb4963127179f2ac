"""What tells one m-RNN from another: the choices in which they differ."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """One m-RNN; sizes and dropout are only what it was published with.

    recurrence: `relu`, `gru`, `lstm` or `peephole-lstm`, see `model/mrnn/cells.py`.
    two_embeddings: w = W2 E1[word]; otherwise w = E1[word].
    word_input: what the multimodal layer gets of the word: `w`, `w1` (embedding I) or nothing.
    image_input: where the image enters: `multimodal`, `recurrent`, `state` (the first state of the recurrent layer); it
        may be several, or none.
    one_image_map: recurrent and multimodal layer get the image by one matrix, so that their inputs have one size.
    fusion: of the multimodal layer, `scaled_tanh` of the sum or the sum of the `relu` of each; None: no such layer.
    tied: the non-linearity f of transposed weight sharing, softmax(E1 f(W m + b) + b'), `scaled_tanh` or `relu`; None:
        a softmax with weights of its own.
    uniform: weights start uniform in +- so much; None: Glorot's, with orthogonal recurrent ones.
    dropout: the rate on words, recurrent layer and multimodal layer.
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
