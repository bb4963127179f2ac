"""The formats that are read here: small valid files of each, and what reads them as the pipeline does."""

import io
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

import h5py
import numpy as np
from luigi.configuration import LuigiConfigParser
from luigi.task_register import Register
from PIL import Image

from model.backbones.images import decode_image
from pipelines.data.caption_files import find_caption_files
from pipelines.data.caption_files import read_captions as read_any_captions
from pipelines.data.dataset import Problems
from pipelines.data.datasets.iaprtc12 import IaprTc12
from pipelines.data.datasets.shapes import Shapes
from pipelines.data.download.fetch import read_checksums
from pipelines.data.download.unpack import unpack
from pipelines.data.files import read_token_file
from pipelines.data.splits import read_name_lists
from schemas.annotations import AnnotatedImage, Record, read_annotations, write_annotations
from schemas.captions import read_captions, write_captions
from schemas.checkpoint import read_checkpoint, read_curve
from schemas.errors import ConfigurationError, MRNNError
from schemas.features import FeatureDescription, FeatureFile, read_rejects, write_features
from schemas.hypotheses import Hypothesis, ImageHypotheses, read_hypotheses, to_record
from schemas.interop.caption_files import read_generated, read_references
from schemas.interop.captions import (
    read_anno_list,
    read_coco_captions,
    read_karpathy,
    write_anno_list,
    write_coco_captions,
    write_karpathy,
)
from schemas.interop.features import read_feature_file, write_dictionary
from schemas.interop.torch_weights import read_torch_weights
from schemas.io.files import canonical_json, write_json, write_json_lines
from schemas.neighbors import Neighbors, read_neighbors, write_neighbors
from schemas.provenance import read_provenance
from schemas.reranking import RerankingSetting, read_best_setting, write_grid
from schemas.results import read_results, write_results
from schemas.scores import Recall, RetrievalScores, read_caption_scores, read_retrieval_scores
from schemas.vocabulary import SPECIAL_WORDS, Vocabulary
from tasks.captions.generate_captions import GenerateCaptions
from tasks.cli.graph import inputs_first
from tasks.configuration import DEFAULTS
from tasks.runtime.errors import describe_configuration_error
from tests.support.torch_files import write_torch_weights

IMAGES = [
    Record("9", "val/9.jpg", "train", ("a dog .", "caf\u00e9 \u2028 noir"), {"license": 1}, 4, 3),
    Record("seven", "7.jpg", "val", ("a black cat",), {}, 1, 2),
]
WORDS = Vocabulary([*SPECIAL_WORDS, "a", "dog", "caf\u00e9"])
ROWS = np.arange(6, dtype=np.float32).reshape(2, 3)
DESCRIPTION = FeatureDescription("vgg16/fc2", "none", "0" * 64, "toys")
PROVENANCE = {
    "key": "0" * 10,
    "stage": "Source",
    "version": 1,
    "dataset": "toys",
    "parameters": {"n": 1},
    "upstream": {"x": {"stage": "a", "key": "b", "digest": "c"}},
    "digest": "0" * 64,
    "files": {"a": {"sha256": "0" * 64, "size": 1}},
    "software": {},
    "git": None,
    "host": {},
    "started": "2024-01-01T00:00:00+00:00",
    "seconds": 1.5,
    "peak_memory_bytes": 1,
    "counts": {},
    "operational": {},
}


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        file: Name of a file of the format, below a directory of its own.
        write: Writes a valid file to a path.
        read: Reads a file completely, as the pipeline does; called with the file and a data directory.
        as_json: Whether the format is JSON or JSON lines.
    """

    file: str
    write: Callable[[Path], object]
    read: Callable[[Path, Path], object]
    as_json: bool = False


def _write_images(path: Path) -> None:
    """Write images in several formats; `samples` uses each file as a sample."""
    image = Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3))
    exif = Image.Exif()
    exif[0x0112] = 6
    for form, options in [("PNG", {}), ("JPEG", {"exif": exif}), ("WEBP", {"exif": exif}), ("GIF", {}), ("DDS", {})]:
        image.save(path.with_suffix(f".{form}"), form, **options)
    for form in ("TIFF", "BMP", "PPM", "TGA", "JPEG2000"):
        image.save(path.with_suffix(f".{form}"), form)
    Image.fromarray(np.arange(100, dtype=np.uint16).reshape(10, 10)).save(path.with_suffix(".16.png"), "PNG")
    image.quantize(4).save(path.with_suffix(".4.png"), "PNG", transparency=0)


def _annotated(images: Iterable[Record], directory: Path) -> None:
    """Write the artifact of what was read, which reveals texts that cannot be stored."""
    write_annotations(
        directory,
        (AnnotatedImage(each.image_id, each.file, "train", 1, 1, each.captions, each.extras) for each in images),
    )


def _read_folder(path: Path, directory: Path) -> None:
    files = find_caption_files(path.parent, [PurePosixPath(path.name)])
    _annotated([record for _, record in read_any_captions(files, Problems())], directory)


def _read_tokens(path: Path, directory: Path) -> None:
    _annotated(
        [Record(name, name, "", tuple(texts.values())) for name, texts in read_token_file(path, Problems()).items()],
        directory,
    )


def _read_any_file(path: Path, directory: Path) -> None:
    texts = read_references(path).captions, read_generated(path)
    write_json(directory / "texts.json", texts)


def _read_blocks(path: Path, directory: Path) -> None:
    ids, blocks = read_feature_file(path)
    write_features(directory / "features.h5", ids, np.concatenate(list(blocks)), DESCRIPTION)


def _write_hdf5_by_id(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["9"], file["val/b"] = ROWS


def _read_features(path: Path, directory: Path) -> None:
    file = FeatureFile(path)
    list(file.blocks())
    file.read(file.image_ids)


def _write_iapr(path: Path) -> None:
    image = path.parents[2] / "images" / "00" / "1.jpg"
    image.parent.mkdir(parents=True)
    image.touch()
    path.write_bytes(
        b'<?xml version="1.0" encoding="ISO-8859-1"?><DOC><DOCNO>1</DOCNO><TITLE>T & t</TITLE>'
        b"<DESCRIPTION>a caf\xe9; two &amp; three;</DESCRIPTION></DOC>"
    )


def _read_iapr(path: Path, directory: Path) -> None:
    records = IaprTc12().records(path.parents[2], Problems())
    _annotated(records, directory)


def _write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images/a.jpg", b"image" * 30)
        archive.writestr("captions.txt", "a dog\n" * 9)
        archive.writestr(zipfile.ZipInfo("stored"), b"as it is")


def _write_tar(compression: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with tarfile.open(path, f"w:{compression}", format=tarfile.PAX_FORMAT) as archive:
            for name, content in [
                ("images/a.jpg", b"image" * 30),
                ("caf\u00e9/" * 40 + "a", b"a dog"),
                ("empty", b""),
            ]:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))

    return write


def _unpack(path: Path, directory: Path) -> None:
    unpack(path, directory, lambda fraction, message: None)


def _write_model(path: Path) -> None:
    write_json(path, {"variant": "x", "vocabulary_digest": WORDS.digest})
    WORDS.write(path.parent / "vocabulary.txt")


_CONFIGURATION = """# a comment
[pipeline]
dataset = toys
data_dir = ${HOME}/var
compare_blind = true
feature_source = extract

[ExtractFeatures]
backbone = keras:MobileNet
input_size = 32
pool = average

[engine]
name = beam

[beam]
runner = a.Runner
options = ["--direct_num_workers=1"]
resource_hints = {"min_ram": "4GB"}

[TrainModel]
epochs = 3
dropout = 0.5
xla = false

[GenerateCaptions]
n_best = 2
model_seeds = []
"""


def _read_configuration(path: Path, _: Path) -> None:
    """As Luigi does on its start, then the keys of all stages up to captions: nothing else reads a configuration."""
    parser = LuigiConfigParser(interpolation=LuigiConfigParser._DEFAULT_INTERPOLATION)
    before, LuigiConfigParser._instance = LuigiConfigParser._instance, parser
    Register.clear_instance_cache()
    try:
        parser.read([DEFAULTS, path], encoding="utf-8")
        for task in inputs_first(GenerateCaptions()):
            if not Path(os.path.normpath(task.directory)).is_relative_to(os.path.normpath(task.data_dir)):
                raise AssertionError(f"{task.directory} is not below {task.data_dir}")
    except UnicodeDecodeError as error:  # before any code of ours is there, as in the documentation
        raise ConfigurationError("no UTF-8") from error
    except Exception as error:
        if isinstance(error, MRNNError) or (sentence := describe_configuration_error(error)) is None:
            raise
        raise ConfigurationError(sentence) from error
    finally:
        LuigiConfigParser._instance = before
        Register.clear_instance_cache()


def _text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content, encoding="utf-8")


def _json(value: object) -> Callable[[Path], object]:
    return lambda path: write_json(path, value)


def _lines(*values: object) -> Callable[[Path], object]:
    return lambda path: write_json_lines(path, values)


_SHEET = {
    "n": 1,
    "tokenizer": "ptb",
    "document_frequencies": "corpus",
    "metrics": {"BLEU-1": 0.5},
    "intervals": {},
    "left_out": {},
    "warnings": [],
    "statistics": {},
    "split": "test",
    "captions": "beam",
    "beam_width": 3,
    "reranking": None,
    "image_input": "own",
    "perplexity": 9.0,
}
_RECALL = Recall(1.0, 2.0, 3.0, 4.0, 5.0)
_RETRIEVAL = RetrievalScores("test", "all", 1, 5, 1, _RECALL, _RECALL)
_HYPOTHESES = [ImageHypotheses(name, (Hypothesis(("a", "dog"), -1.5), Hypothesis((), -9.0))) for name in ("9", "7")]

FORMATS = {
    "image": Format("a.image", _write_images, lambda path, _: decode_image(path.read_bytes())),
    "annotations": Format(
        "annotations.jsonl",
        lambda path: _annotated(IMAGES, path.parent),
        lambda path, directory: write_annotations(directory, list(read_annotations(path.parent))),
        True,
    ),
    "coco": Format(
        "a.json",
        lambda path: write_coco_captions(path, IMAGES),
        lambda p, d: _annotated(read_coco_captions(p), d),
        True,
    ),
    "karpathy": Format(
        "a.json", lambda path: write_karpathy(path, "x", IMAGES), lambda p, d: _annotated(read_karpathy(p), d), True
    ),
    "anno-list": Format(
        "a.npy", lambda path: write_anno_list(path, IMAGES), lambda p, d: _annotated(read_anno_list(p), d)
    ),
    "token": Format("a.token", _text("9.jpg#0\ta dog .\n9.jpg#1\tcaf\u00e9\n7.jpg#0\ta \u2028 cat\n"), _read_tokens),
    "csv": Format("a.csv", _text('image,caption,split\n9.jpg,"a, dog",train\n7.jpg,"a ""cat""",val\n'), _read_folder),
    "json-lines": Format(
        "a.jsonl",
        _lines({"image": "9.jpg", "caption": "a dog", "split": "val"}, {"image": "7.jpg", "captions": ["a", "b"]}),
        _read_folder,
        True,
    ),
    "json-list": Format(
        "a.json", _json([{"image": "9.jpg", "caption": "a dog", "image_id": 3, "extras": {"a": 1}}]), _read_folder, True
    ),
    "caption-file": Format(
        "b.json",
        _json([{"image_id": 1, "caption": "a"}, {"image_id": "b", "captions": [{"tokens": ["a"]}, "b"]}]),
        _read_any_file,
        True,
    ),
    "generated-npy": Format(
        "a.npy",
        lambda p: write_anno_list(p, [Record("1", "1.jpg", "", ("a",), {"gen_beam_search_10": [["a", "b"]]})]),
        _read_any_file,
    ),
    "iapr": Format("root/annotations_complete_eng/00/1.eng", _write_iapr, _read_iapr),
    "shapes": Format(
        "captions.jsonl",
        _lines({"file": "images/a.png", "split": "val", "captions": ["a"], "scene": {}}),
        lambda p, d: canonical_json([asdict(each) for each in Shapes().records(p.parent, Problems())]).encode(),
        True,
    ),
    "split-list": Format("train.txt", _text("9.jpg\n7.jpg\n"), lambda p, _: read_name_lists({"train": p})),
    "split-anno-list": Format(
        "a.npy", lambda path: write_anno_list(path, IMAGES), lambda p, _: read_name_lists({"train": p})
    ),
    "checksums": Format("SHA256SUMS", _text(f"{'0' * 64}  a.zip\n"), lambda p, _: read_checksums(p.parent)),
    "npy-dictionary": Format("a.npy", lambda path: write_dictionary(path, ["9", "b"], [ROWS]), _read_blocks),
    "torch-weights": Format(
        "a.pth",
        lambda path: write_torch_weights(path, {"a.weight": ROWS, "b": ROWS[0]}),
        lambda path, _: [np.sum(each) for each in read_torch_weights(path).values()],
    ),
    "npz": Format("a.npz", lambda path: np.savez(path, ids=["9", "b"], F=ROWS), _read_blocks),
    "hdf5-by-id": Format("a.h5", _write_hdf5_by_id, _read_blocks),
    "features": Format("f.h5", lambda path: write_features(path, ["9", "b"], ROWS, DESCRIPTION), _read_features),
    "features-imported": Format("f.h5", lambda path: write_features(path, ["9", "b"], ROWS, DESCRIPTION), _read_blocks),
    "text-vector": Format(
        "f/9.txt", _text("0.5\n1e3\n-2\n"), lambda path, directory: _read_blocks(path.parent, directory)
    ),
    "captions": Format(
        "c.h5",
        lambda path: write_captions(path, WORDS, ["9", "b"], ["train", "val"], [[["a", "dog"], ["x"]], [["a"]]]),
        lambda path, _: read_captions(path, "train", WORDS),
    ),
    "neighbors": Format(
        "n.h5",
        lambda path: write_neighbors(
            path,
            Neighbors(["9"], ["a", "b"], np.array([[1, 0]]), np.array([[0.5, 1.0]]), "refined", "euclidean"),
        ),
        lambda path, _: read_neighbors(path),
    ),
    "vocabulary": Format(
        "v.txt", lambda path: WORDS.write(path), lambda path, directory: Vocabulary.read(path).write(directory / "v")
    ),
    "results": Format(
        "r.json",
        lambda path: write_results(path, {"9": "a dog", "b": "caf\u00e9"}),
        lambda path, directory: write_results(directory / "r.json", read_results(path)),
        True,
    ),
    "hypotheses": Format(
        "hypotheses.jsonl", _lines(*map(to_record, _HYPOTHESES)), lambda p, _: list(read_hypotheses(p.parent)), True
    ),
    "scores": Format("scores.json", _json(_SHEET), lambda p, _: read_caption_scores(p.parent), True),
    "retrieval-scores": Format(
        "scores.json", _json(asdict(_RETRIEVAL)), lambda p, _: read_retrieval_scores(p.parent), True
    ),
    "rejects": Format(
        "rejects.jsonl",
        _lines({"image_id": "9", "stage": "s", "error": "e"}),
        lambda p, _: read_rejects(p.parent),
        True,
    ),
    "grid": Format(
        "g.json",
        lambda path: write_grid(path, {}, [(RerankingSetting("cider"), {"CIDEr-D": 1.0})]),
        lambda path, _: read_best_setting(path),
        True,
    ),
    "provenance": Format("provenance.json", _json(PROVENANCE), lambda p, _: read_provenance(p.parent), True),
    "model-config": Format("config.json", _write_model, lambda p, _: read_checkpoint(p.parent), True),
    "curve": Format(
        "training/curve.jsonl", _lines({"epoch": 1, "loss": 2.5}), lambda p, _: read_curve(p.parent.parent), True
    ),
    "configuration": Format("a.cfg", _text(_CONFIGURATION), _read_configuration),
    "zip": Format("a.zip", _write_zip, _unpack),
    "tar": Format("a.tar", _write_tar(""), _unpack),
    "tar-gz": Format("a.tgz", _write_tar("gz"), _unpack),
    "tar-bz2": Format("a.tar.bz2", _write_tar("bz2"), _unpack),
    "tar-xz": Format("a.tar.xz", _write_tar("xz"), _unpack),
}


def samples(form: Format, path: Path) -> list[bytes]:
    """The content of valid files: of that which is then at `path`, or of several beside it."""
    path.parent.mkdir(parents=True)
    form.write(path)
    return [path.read_bytes()] if path.exists() else [each.read_bytes() for each in sorted(path.parent.iterdir())]
