"""Generated captions: written and read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ArtifactError
from schemas.hypotheses import Hypothesis, ImageHypotheses, read_hypotheses, write_hypotheses

WORDS = st.lists(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=4), max_size=4).map(tuple)
CAPTIONS = st.lists(st.builds(Hypothesis, WORDS, st.floats(max_value=0.0, allow_infinity=False)), max_size=3).map(tuple)


@given(st.lists(st.builds(ImageHypotheses, st.text("01é", min_size=1), CAPTIONS), max_size=4))
def test_hypotheses_come_back_as_written(tmp_path_factory, images):
    folder = tmp_path_factory.mktemp("hypotheses")
    assert write_hypotheses(folder, images) == len(images)
    assert list(read_hypotheses(folder)) == images


@pytest.mark.parametrize("line", ["{}", "[]", "7", '{"image_id": "1", "captions": [{"tokens": ["a"]}]}', "{"])
def test_corrupted_lines_are_artifact_errors(tmp_path, line):
    (tmp_path / "hypotheses.jsonl").write_text(line + "\n")
    with pytest.raises(ArtifactError, match=r"hypotheses\.jsonl"):
        list(read_hypotheses(tmp_path))
