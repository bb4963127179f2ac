"""COCO results JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ArtifactError
from schemas.results import read_results, write_results


@given(st.dictionaries(st.text("0aé", min_size=1), st.text("a \n\u2028é😀"), max_size=4))
def test_results_come_back_as_written_in_order(tmp_path_factory, captions):
    path = tmp_path_factory.mktemp("results") / "results.json"
    write_results(path, captions)
    assert list(read_results(path).items()) == list(captions.items())


def test_results_have_the_coco_format(tmp_path):
    write_results(tmp_path / "results.json", {"7": "a dog"})
    assert json.loads((tmp_path / "results.json").read_text()) == [{"image_id": "7", "caption": "a dog"}]


def test_number_ids_become_strings(tmp_path):
    (tmp_path / "results.json").write_text('[{"image_id": 7, "caption": "a dog", "more": 1}]')
    assert read_results(tmp_path / "results.json") == {"7": "a dog"}


@pytest.mark.parametrize(
    "content", ["{}", "7", '["a"]', '[{"image_id": 1}]', '[{"caption": "a"}]', '[{"image_id": 1, "caption": 2}]', "["]
)
def test_other_json_is_refused(tmp_path, content):
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(ArtifactError, match=r"results\.json"):
        read_results(tmp_path / "results.json")


def test_two_captions_of_an_image_are_refused(tmp_path):
    (tmp_path / "results.json").write_text('[{"image_id": 7, "caption": "a"}, {"image_id": "7", "caption": "b"}]')
    with pytest.raises(ArtifactError, match="two captions of image 7"):
        read_results(tmp_path / "results.json")
