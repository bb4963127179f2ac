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


def print_directory(address: str) -> None:
    """Print where the captioner of an address was downloaded to, or the error."""
    try:
        print(download_captioner(address))
    except MRNNError as error:
        print(f"{type(error).__name__}: {error}")


def download(root: Path, endpoint: str, address: str) -> str:
    """Return what `print_directory` prints in a process of its own: huggingface_hub reads its environment only once."""
    environment = {**os.environ, "HF_HOME": str(root / "home"), "HF_ENDPOINT": endpoint}
    directory = root / "directory"
    directory.mkdir(exist_ok=True)
    done = warm_process.run(print_directory, address, directory=directory, environment=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_mrnn_caption_uses_a_model_of_the_hub(tmp_path: Path) -> None:
    release = tmp_path / "release"
    shutil.copytree(PRETRAINED, release)
    (tmp_path / "directory").mkdir()
    (release / "features.parquet").write_bytes(b"large")
    with serve_hub({"datasets/someone/captioner": release}) as hub:
        command = ("caption", str(PHOTOGRAPH), "--set", "GenerateCaptions.beam_width=3", "--no-rerank", "--model")
        environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.url}
        found, expected = (
            warm_process.run_mrnn((*command, model), tmp_path / "directory", environment)
            for model in ("hf://datasets/someone/captioner", str(PRETRAINED))
        )
    assert found.returncode == 0, found.stderr
    assert not [request for request in hub.requests if "features.parquet" in request]
    assert [request for request in hub.requests if request.startswith("GET") and "model.keras" in request]
    assert found.stdout == expected.stdout


def test_captioner_is_downloaded_once_and_available_offline(tmp_path: Path) -> None:
    with serve_hub({"models/someone/captioner": PRETRAINED}) as hub:
        first = download(tmp_path, hub.url, "hf://someone/captioner")
        downloads = [request for request in hub.requests if request.startswith("GET") and "/resolve/" in request]
        again = download(tmp_path, hub.url, "hf://someone/captioner@main")
        assert [r for r in hub.requests if r.startswith("GET") and "/resolve/" in r] == downloads
    assert first == again == download(tmp_path, hub.url, "hf://someone/captioner")
    directory = Path(first.strip())
    assert (directory / "model" / "model.keras").read_bytes() == (PRETRAINED / "model" / "model.keras").read_bytes()


def test_problems_of_the_hub_are_one_sentence(tmp_path: Path) -> None:
    damaged, other = tmp_path / "damaged", tmp_path / "other"
    shutil.copytree(PRETRAINED, damaged)
    (damaged / "model" / "vocabulary.txt").write_text("replaced\n")
    other.mkdir()
    (other / "README.md").write_text("# Something else\n")
    repositories = {"models/a/good": PRETRAINED, "models/a/damaged": damaged, "models/a/other": other}
    with serve_hub(repositories) as hub:
        found = {
            address: download(tmp_path, hub.url, address)
            for address in ("hf://a/absent", "hf://a/good@v9", "hf://a/damaged", "hf://a/other")
        }
    found["hf://a/unreachable"] = download(tmp_path, hub.url, "hf://a/unreachable")
    assert found["hf://a/absent"].startswith("StorageAccessError: hf://a/absent does not exist or is private;")
    assert found["hf://a/good@v9"] == "StorageError: hf://a/good@v9 has no revision v9; check the URL.\n"
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
