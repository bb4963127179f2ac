"""A fifth of COCO's annotations, from the published JSON files to the artifacts of two stages, against `json.load`."""

import io
import json
import multiprocessing
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.machine import describe_run
from benchmarks.timing import Cost, Rounds, cost, print_head, print_row

IMAGES, CAPTIONS = {"train2014": 16557, "val2014": 8101}, 5.0046
VALIDATION, TEST = 800, 200


def run() -> None:
    """Compare seconds in rounds, each step in a process of its own, and print the peak memory."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        _measured(generate, root)  # in a process of its own, for what it took would be counted as its children's peak
        peaks: list[int] = []

        def measured(*calls: Callable[[Path], None]) -> Callable[[], Cost]:
            def measure() -> Cost:
                results = [_measured(call, root) for call in calls]
                peaks.extend(peak for _, peak in results)
                return Cost(*(sum(each) for each in zip(*(taken for taken, _ in results), strict=True)))

            return measure

        rounds = Rounds({"ours": measured(prepare, store), "json": measured(parse_json)})
        print(describe_run("python -m benchmarks annotations"))
        print_head(f"{sum(IMAGES.values()):,} images", "`json.load`", "ratio")
        pace = f"{1 / rounds.rate('ours'):.1f} s, {max(peaks) / 2**30:.2f} GiB"
        print_row(pace, f"{1 / rounds.rate('json'):.1f} s", rounds.ratio("ours", "json"))


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


def _measured(call: Callable[[Path], None], root: Path) -> tuple[Cost, int]:
    """Return the cost of a call and peak resident bytes, in a fresh process; its imports are not counted as time."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (call, root))


def _measure(call: Callable[[Path], None], root: Path) -> tuple[Cost, int]:
    import pipelines.data.datasets.coco2014
    import pipelines.data.prepare_annotations
    import pipelines.data.tokenize_captions  # noqa: F401

    return cost(lambda: call(root)), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
