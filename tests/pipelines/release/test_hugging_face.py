"""Captioners on the Hugging Face Hub, imitated by a server on this machine."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from pipelines.release.hugging_face import download_captioner
from schemas.errors import ConfigurationError, MRNNError
from tests.support import warm_process
from tests.support.hub_server import serve_hub

PRETRAINED = Path(__file__).parents[3] / "pretrained" / "flickr8k"
PHOTOGRAPH = Path(__file__).parents[3] / "docs" / "images" / "chelsea.jpg"


def print_directories(*addresses: str) -> None:
    """Print where the captioner of each address was downloaded to, or the error."""
    for address in addresses:
        try:
            print(download_captioner(address))
        except MRNNError as error:
            print(f"{type(error).__name__}: {error}")


def download(root: Path, endpoint: str, *addresses: str) -> list[str]:
    """Return the lines that `print_directories` prints in a new process: huggingface_hub reads variables only once."""
    environment = {**os.environ, "HF_HOME": str(root / "home"), "HF_ENDPOINT": endpoint}
    directory = root / "directory"
    directory.mkdir(exist_ok=True)
    done = warm_process.run(print_directories, *addresses, directory=directory, environment=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


SEPARATOR = "=" * 9


def print_captions(*models: str) -> None:
    """Print what `mrnn caption` prints with each model."""
    from tasks.cli import app  # reads the environment

    command = ["caption", str(PHOTOGRAPH), "--set", "GenerateCaptions.beam_width=3", "--no-rerank", "--model"]
    for model in models:
        app([*command, model], standalone_mode=False)
        print(SEPARATOR)


def test_mrnn_caption_uses_a_model_of_the_hub(tmp_path: Path) -> None:
    release = tmp_path / "release"
    shutil.copytree(PRETRAINED, release)
    (tmp_path / "directory").mkdir()
    (release / "features.parquet").write_bytes(b"large")
    with serve_hub({"datasets/someone/captioner": release}) as hub:
        environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.url}
        models = ("hf://datasets/someone/captioner", str(PRETRAINED))
        done = warm_process.run(print_captions, *models, directory=tmp_path / "directory", environment=environment)
    assert done.returncode == 0, done.stderr
    found, expected, _ = done.stdout.split(SEPARATOR + "\n")
    assert not [request for request in hub.requests if "features.parquet" in request]
    assert [request for request in hub.requests if request.startswith("GET") and "model.keras" in request]
    assert found == expected != ""


def test_captioner_is_downloaded_once_and_available_offline(tmp_path: Path) -> None:
    with serve_hub({"models/someone/captioner": PRETRAINED}) as hub:
        first, again = download(tmp_path, hub.url, "hf://someone/captioner", "hf://someone/captioner@main")
        downloads = [request for request in hub.requests if request.startswith("GET") and "/resolve/" in request]
    assert len(downloads) == len({*downloads}) > 0
    (offline,) = download(tmp_path, hub.url, "hf://someone/captioner")
    assert first == again == offline
    directory = Path(first)
    assert (directory / "model" / "model.keras").read_bytes() == (PRETRAINED / "model" / "model.keras").read_bytes()


def test_problems_of_the_hub_are_one_sentence(tmp_path: Path) -> None:
    damaged, other = tmp_path / "damaged", tmp_path / "other"
    shutil.copytree(PRETRAINED, damaged)
    (damaged / "model" / "vocabulary.txt").write_text("replaced\n")
    other.mkdir()
    (other / "README.md").write_text("# Something else\n")
    repositories = {"models/a/good": PRETRAINED, "models/a/damaged": damaged, "models/a/other": other}
    with serve_hub(repositories) as hub:
        addresses = ("hf://a/absent", "hf://a/good@v9", "hf://a/damaged", "hf://a/other")
        found = dict(zip(addresses, download(tmp_path, hub.url, *addresses), strict=True))
    (found["hf://a/unreachable"],) = download(tmp_path, hub.url, "hf://a/unreachable")
    assert found["hf://a/absent"].startswith("StorageAccessError: hf://a/absent does not exist or is private;")
    assert found["hf://a/good@v9"] == "StorageError: hf://a/good@v9 has no revision v9; check the URL."
    assert found["hf://a/damaged"].startswith(
        "ArtifactError: model/vocabulary.txt of hf://a/damaged does not have the digest of SHA256SUMS;"
    )
    assert found["hf://a/other"].startswith("ArtifactError: hf://a/other is not a release of PublishFeatures:")
    assert found["hf://a/unreachable"].startswith("StorageError: hf://a/unreachable cannot be downloaded (")


@pytest.mark.parametrize("address", ["hf://", "hf://name", "hf://a/b/c", "hf://a/b@", "hf://spaces/a/b"])
def test_malformed_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"write hf://USER/NAME"):
        download_captioner(address)


def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ConfigurationError, match=r"needs huggingface_hub; run `pip install 'm-rnn\[hf\]'`\."):
        download_captioner("hf://someone/captioner")
