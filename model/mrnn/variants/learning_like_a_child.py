"""Mao et al., "Learning like a child", ICCV 2015 (arXiv 1504.06692): transposed weight sharing."""

from model.mrnn.variants.base import Variant

VARIANTS = {
    "mrnn-shared": Variant(
        recurrence="lstm",
        two_embeddings=False,
        tied="scaled_tanh",
        embedding_size=512,
        recurrent_size=512,
        multimodal_size=1024,
    ),
}
