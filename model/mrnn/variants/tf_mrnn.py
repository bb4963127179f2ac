"""The authors' TF-mRNN of 2016."""

from dataclasses import replace

from model.mrnn.variants.base import Variant

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
    "tf-mrnn": _TF_MRNN,
    "tf-mrnn-lstm": replace(_TF_MRNN, recurrence="peephole-lstm"),
    "tf-mrnn-init": _TF_MRNN_INIT,
    "tf-mrnn-init-lstm": replace(_TF_MRNN_INIT, recurrence="peephole-lstm"),
}
