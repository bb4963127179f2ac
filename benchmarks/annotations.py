"""Annotations as large as COCO's, from the published JSON files to the artifacts of two stages, against `json.load`."""

import io
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

IMAGES, CAPTIONS = {"train2014": 82783, "val2014": 40504}, 5.0046
VALIDATION, TEST = 4000, 1000


def run() -> None:
    """Print seconds and peak memory of each step, each in a process of its own, and the ratio to `json.load`."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        _measured(generate, root)  # in a process of its own, for what it took would be counted as its children's peak
        print(f"annotations: {sum(IMAGES.values())} images with {CAPTIONS} captions each")
        bare, _ = _measured(parse_json, root)
        steps = {"parse and prepare": prepare, "tokenize and store": store}
        ours = 0.0
        for step, call in steps.items():
            seconds, peak = _measured(call, root)
            ours += seconds
            print(f"annotations, {step}: {seconds:.1f} s, peak {peak / 2**30:.2f} GiB", flush=True)
        opening, _ = _measured(open_captions, root)
        print(f"annotations, open the captions of train: {opening:.2f} s")
        print(
            f"annotations: files to artifacts {ours:.1f} s, json.load {bare:.1f} s, ratio {bare / ours:.2f}", flush=True
        )


def generate(root: Path) -> None:
    """Write COCO's two captions files and a small JPEG file for each image."""
    random = np.random.default_rng(0)
    image_bytes = io.BytesIO()
    Image.new("RGB", (64, 48)).save(image_bytes, format="JPEG")
    vocabulary = np.array([f"word{number}" for number in range(25000)])
    weights = 1.0 / np.arange(1, len(vocabulary) + 1)
    total = 0
    (root / "annotations").mkdir()
    for folder, count in IMAGES.items():
        (root / folder).mkdir()
        images, annotations = [], []
        captions = 5 + (random.random(count) < CAPTIONS - 5)
        words = iter(random.choice(vocabulary, 14 * int(captions.sum()), p=weights / weights.sum()).tolist())
        lengths = iter(random.integers(8, 14, int(captions.sum())).tolist())
        for number, of_image in enumerate(captions.tolist()):
            image_id = 2 * number + (folder == "val2014")
            file = f"COCO_{folder}_{image_id:012d}.jpg"
            (root / folder / file).write_bytes(image_bytes.getvalue())
            url = f"http://images.cocodataset.org/{folder}/{file}"
            images.append(
                {"license": 3, "file_name": file, "coco_url": url, "flickr_url": url, "height": 480, "width": 640}
                | {"date_captured": "2013-11-14 11:18:45", "id": image_id}
            )
            for _ in range(of_image):
                caption = " ".join(next(words) for _ in range(next(lengths)))
                annotations.append({"image_id": image_id, "id": total, "caption": f"{caption.capitalize()}."})
                total += 1
        content = {"info": {}, "images": images, "licenses": [], "annotations": annotations}
        (root / "annotations" / f"captions_{folder}.json").write_text(json.dumps(content))


def parse_json(root: Path) -> None:
    """Parse the JSON files, the lower bound of any reader."""
    for path in sorted((root / "annotations").iterdir()):
        with open(path, "rb") as stream:
            json.load(stream)


def prepare(root: Path) -> None:
    """Run PrepareAnnotations."""
    from pipelines.data.datasets import find_dataset
    from pipelines.data.prepare_annotations import annotate
    from schemas.annotations import write_annotations

    partition = f"random:{VALIDATION}:{TEST}:0"
    images, _ = annotate(find_dataset("coco2014"), root, lambda fraction, message: None, partition)
    write_annotations(root / "artifact", images)


def store(root: Path) -> None:
    """Run TokenizeCaptions."""
    from pipelines.data.tokenize_captions import tokenize
    from schemas.annotations import read_annotations

    tokenize(list(read_annotations(root / "artifact")), "tf-mrnn", 3, root / "artifact")


def open_captions(root: Path) -> None:
    """Open the captions as training does."""
    from schemas.captions import read_captions
    from schemas.vocabulary import Vocabulary

    read_captions(root / "artifact" / "captions.h5", "train", Vocabulary.read(root / "artifact" / "vocabulary.txt"))


def _measured(call: Callable[[Path], None], root: Path) -> tuple[float, int]:
    """Return seconds of a call and peak resident bytes, in a fresh process; its imports are not counted as time."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (call, root))


def _measure(call: Callable[[Path], None], root: Path) -> tuple[float, int]:
    import pipelines.data.datasets.coco2014
    import pipelines.data.prepare_annotations
    import pipelines.data.tokenize_captions  # noqa: F401

    started = time.perf_counter()
    call(root)
    return time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
