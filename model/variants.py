"""The m-RNNs that were published, as the choices in which they differ; `docs/model.md` has equations and sources."""

from dataclasses import dataclass, replace
from typing import Any

from schemas.errors import ConfigurationError


@dataclass(frozen=True)
class Variant:
    """What tells one m-RNN from another; sizes and dropout are only what it was published with.

    recurrence: `relu`, `gru`, `lstm` or `peephole-lstm`, see `model/recurrence.py`.
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


_MRNN = Variant()
_TF_MRNN = Variant(
    recurrence="gru",
    two_embeddings=False,
    word_input=None,
    fusion="relu",
    tied="relu",
    uniform=0.05,
    embedding_size=1024,
    recurrent_size=2048,
    multimodal_size=2048,
    dropout=0.5,
)
_TF_MRNN_INIT = replace(
    _TF_MRNN, image_input=("state",), fusion=None, embedding_size=512, recurrent_size=1024, multimodal_size=0
)

VARIANTS = {
    # Mao et al., ICLR 2015, and its workshop predecessor, which differs in what is around the network.
    "mrnn": _MRNN,
    "mrnn-2014": _MRNN,
    # The ablations of the ICLR paper, by its names.
    "no-emb-input": replace(_MRNN, word_input=None),
    "one-layer-emb": replace(_MRNN, two_embeddings=False, embedding_size=256),
    "emb-one-input": replace(_MRNN, word_input="w1"),
    "vis-in-rnn": replace(_MRNN, image_input=("recurrent",)),
    "vis-in-rnn-both": replace(_MRNN, image_input=("recurrent", "multimodal")),
    "vis-in-rnn-both-shared": replace(
        _MRNN, image_input=("recurrent", "multimodal"), one_image_map=True, recurrent_size=512
    ),
    "blind": replace(_MRNN, image_input=()),
    # Mao et al., "Learning like a child" (arXiv 1504.06692).
    "mrnn-shared": Variant(
        recurrence="lstm",
        two_embeddings=False,
        tied="scaled_tanh",
        embedding_size=512,
        recurrent_size=512,
        multimodal_size=1024,
    ),
    # The authors' TF-mRNN of 2016.
    "tf-mrnn": _TF_MRNN,
    "tf-mrnn-lstm": replace(_TF_MRNN, recurrence="peephole-lstm"),
    "tf-mrnn-init": _TF_MRNN_INIT,
    "tf-mrnn-init-lstm": replace(_TF_MRNN_INIT, recurrence="peephole-lstm"),
}


def find_variant(name: str, **given: float | None) -> Variant:
    """The variant, with `given` instead of its own sizes and dropout where they are not None.

    Raises:
        ConfigurationError: there is no such variant, or its layers do not fit together in these sizes.
    """
    if name not in VARIANTS:
        raise ConfigurationError(f"There is no variant {name!r} of the m-RNN; choose one of {', '.join(VARIANTS)}.")
    changes: dict[str, Any] = {field: value for field, value in given.items() if value is not None}
    variant = replace(VARIANTS[name], **changes)
    if variant.recurrence == "relu" and not variant.two_embeddings and variant.embedding_size != variant.recurrent_size:
        raise ConfigurationError(
            f"In {name} words are added to the recurrent state: embedding_size ({variant.embedding_size}) and "
            f"recurrent_size ({variant.recurrent_size}) must be equal."
        )
    if variant.one_image_map and variant.recurrent_size != variant.multimodal_size:
        raise ConfigurationError(
            f"In {name} one matrix brings the image into both layers: recurrent_size ({variant.recurrent_size}) and "
            f"multimodal_size ({variant.multimodal_size}) must be equal."
        )
    if variant.fusion is None and variant.multimodal_size:
        raise ConfigurationError(f"{name} has no multimodal layer; leave multimodal_size out.")
    return variant
