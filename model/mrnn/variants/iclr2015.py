"""Mao et al., ICLR 2015 (arXiv 1412.6632), with its ablations, and its workshop predecessor (arXiv 1410.1090)."""

from dataclasses import replace

from model.mrnn.variants.base import Variant

_MRNN = Variant()

VARIANTS = {
    "mrnn": _MRNN,
    # What differs is around the network.
    "mrnn-2014": _MRNN,
    # The ablations, by the paper's names.
    "no-emb-input": replace(_MRNN, word_input=None),
    "one-layer-emb": replace(_MRNN, two_embeddings=False, embedding_size=256),
    "emb-one-input": replace(_MRNN, word_input="w1"),
    "vis-in-rnn": replace(_MRNN, image_input=("recurrent",)),
    "vis-in-rnn-both": replace(_MRNN, image_input=("recurrent", "multimodal")),
    "vis-in-rnn-both-shared": replace(
        _MRNN, image_input=("recurrent", "multimodal"), one_image_map=True, recurrent_size=512
    ),
    "blind": replace(_MRNN, image_input=()),
}
