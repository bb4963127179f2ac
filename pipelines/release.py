"""A release folder: the published files, who made them from what, and checksums of all."""

import shutil
from pathlib import Path

from pipelines.datasets.base import Corpus
from schemas.annotations import SPLITS
from schemas.features import FeatureFile
from schemas.files import atomic_path, digest_file, write_text
from schemas.provenance import FILE_NAME, read_provenance

_README = """# m-RNN features of {title}

{images} images. Made by the m-RNN project from key {key}; see `*.provenance.json` for parameters, versions and digests.

| file | content |
|---|---|
| `features_refined.h5` | `features` ({images}, {refined}) float32, the image as the m-RNN sees it; `image_ids` |
| `features_original.h5` | `features` ({images}, {original}) {dtype}: {kind}, {preprocessing} |
| `model.keras`, `config.json`, `vocabulary.txt` | the trained m-RNN |
| `train.txt`, `val.txt`, `test.txt` | image names of the splits |
| `SHA256SUMS` | check with `sha256sum -c SHA256SUMS` |

```python
import h5py
with h5py.File("features_refined.h5") as file:
    features, image_ids = file["features"][()], file["image_ids"].asstr()[()]
```

The corpus: {homepage}

Its licence: {licence}

To cite it: {citation}
"""


def write_release(
    directory: Path, corpus: Corpus, *, annotations: Path, features: Path, refined: Path, model: Path
) -> int:
    """Copies the artifacts' files into `directory`, each atomically, `SHA256SUMS` last; returns how many files."""
    sources = {
        "features_refined.h5": refined / "features.h5",
        "features_original.h5": features / "features.h5",
        "refined.provenance.json": refined / FILE_NAME,
        "original.provenance.json": features / FILE_NAME,
        "model.provenance.json": model / FILE_NAME,
        **{name: model / name for name in ("model.keras", "config.json", "vocabulary.txt")},
        **{f"{split}.txt": annotations / f"{split}.txt" for split in SPLITS},
    }
    for name, source in sources.items():
        with atomic_path(directory / name) as temporary:
            shutil.copyfile(source, temporary)
    with FeatureFile(sources["features_original.h5"]) as original, FeatureFile(sources["features_refined.h5"]) as ours:
        readme = _README.format(
            title=corpus.title,
            homepage=corpus.homepage or "generated, nowhere published",
            licence=corpus.licence,
            citation=corpus.citation,
            key=read_provenance(refined).key,
            images=len(ours.image_ids),
            refined=ours.dimension,
            original=original.dimension,
            dtype=original.dataset.dtype,
            kind=original.description.kind,
            preprocessing=original.description.preprocessing,
        )
    write_text(directory / "README.md", readme)
    released = sorted([*sources, "README.md"])
    write_text(directory / "SHA256SUMS", "".join(f"{digest_file(directory / name)}  {name}\n" for name in released))
    return len(released) + 1
