"""Configuration of an m-RNN."""

from dataclasses import dataclass

from schemas.options import option


@dataclass(frozen=True)
class ModelConfig:
    """Architecture and dropout of an m-RNN. Sizes and rates that are None are those of the variant.

    Attributes:
        variant: Name in `model.mrnn.variants.VARIANTS`.
        embedding_size: Size of embedding layer I.
        recurrent_size: Size of the recurrent layer and of embedding layer II.
        multimodal_size: Size of the multimodal layer.
        dropout: Rate at the three places whose own rate is None.
        word_dropout: Rate on the embedded tokens.
        recurrent_dropout: Rate on the output of the recurrent layer.
        multimodal_dropout: Rate on the multimodal layer.
        image_dropout: Rate on the standardized image features.
    """

    variant: str = option("mrnn", "Variant of the m-RNN, see docs/reference/variants.md.")
    embedding_size: int | None = option(None, "Size of embedding layer I (default: the variant's).")
    recurrent_size: int | None = option(
        None, "Size of the recurrent layer and of embedding layer II (default: the variant's)."
    )
    multimodal_size: int | None = option(None, "Size of the multimodal layer (default: the variant's).")
    dropout: float | None = option(
        None, "Dropout rate on tokens, recurrent layer and multimodal layer (default: the variant's)."
    )
    word_dropout: float | None = option(None, "Dropout rate on the embedded tokens (default: dropout).")
    recurrent_dropout: float | None = option(
        None, "Dropout rate on the output of the recurrent layer (default: dropout)."
    )
    multimodal_dropout: float | None = option(None, "Dropout rate on the multimodal layer (default: dropout).")
    image_dropout: float = option(0.0, "Dropout rate on the standardized image features.")
