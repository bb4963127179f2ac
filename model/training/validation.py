"""How good the captions are that a network generates, while it is trained."""

import numpy as np

from model.decoding.beam_search import BeamSearch, decode_images
from model.metrics.captions import cider
from schemas.captions import Captions
from schemas.features import FeatureRows
from schemas.vocabulary import Vocabulary


def generated_cider(
    search: BeamSearch, vocabulary: Vocabulary, captions: Captions, features: np.ndarray | FeatureRows
) -> tuple[float, int]:
    """CIDEr-D of generated captions in the vocabulary's own words against `captions`, and how many of them differ.

    features: (images, D), in the order of `captions.image_ids`.
    """
    decoded = decode_images(search, features, batch_size=100)
    hypotheses = {
        image: " ".join(vocabulary.decode(found[0].tokens))
        for image, found in zip(captions.image_ids, decoded, strict=True)
    }
    references: dict[str, list[str]] = {image: [] for image in captions.image_ids}
    for index, owner in enumerate(captions.image_index):
        references[captions.image_ids[owner]].append(" ".join(vocabulary.decode(captions[index])))
    return cider(hypotheses, references), len(set(hypotheses.values()))
