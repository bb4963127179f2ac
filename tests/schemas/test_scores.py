"""Score sheets: written and read back."""

import json

import pytest

from schemas.errors import ArtifactError
from schemas.io.files import read_json_lines
from schemas.scores import (
    CaptionScores,
    Recall,
    RetrievalScores,
    read_caption_scores,
    read_retrieval_scores,
    write_caption_scores,
    write_retrieval_scores,
)

CAPTION_SCORES = CaptionScores(
    split="test",
    n=2,
    captions="reranked",
    beam_width=10,
    reranking={"similarity": "cider", "features": "refined", "k": 60, "m": 125},
    image_input="own",
    tokenizer="words",
    document_frequencies="references",
    metrics={"BLEU-1": 0.5},
    intervals={"BLEU-1": [0.4, 0.6]},
    left_out={"METEOR": "no Java"},
    warnings=["few images"],
    perplexity=12.5,
    statistics={"mean_length": 9.4},
)
RETRIEVAL_SCORES = RetrievalScores(
    "test", "all", 2, 10, 100, Recall(50.0, 100.0, 100.0, 1.5, 1.5), Recall(20.0, 80.0, 100.0, 3.0, 3.5)
)


def test_caption_scores_come_back_as_written(tmp_path):
    write_caption_scores(tmp_path, CAPTION_SCORES, ["a", "é"], {"BLEU-1": [0.25, 0.75], "CIDEr-D": [1.0, 2.0]})
    assert read_caption_scores(tmp_path) == CAPTION_SCORES
    assert list(read_json_lines(tmp_path / "per_image.jsonl")) == [
        {"image_id": "a", "BLEU-1": 0.25, "CIDEr-D": 1.0},
        {"image_id": "é", "BLEU-1": 0.75, "CIDEr-D": 2.0},
    ]


def test_retrieval_scores_come_back_as_written(tmp_path):
    write_retrieval_scores(tmp_path, RETRIEVAL_SCORES)
    assert read_retrieval_scores(tmp_path) == RETRIEVAL_SCORES


def test_score_sheets_are_distinguished(tmp_path):
    write_retrieval_scores(tmp_path, RETRIEVAL_SCORES)
    with pytest.raises(ArtifactError, match="caption score sheet"):
        read_caption_scores(tmp_path)
    write_caption_scores(tmp_path, CAPTION_SCORES, [], {})
    with pytest.raises(ArtifactError, match="retrieval score sheet"):
        read_retrieval_scores(tmp_path)


@pytest.mark.parametrize("read", [read_caption_scores, read_retrieval_scores])
@pytest.mark.parametrize("content", [{}, [], 7, None, "text"])
def test_other_json_is_refused(tmp_path, read, content):
    (tmp_path / "scores.json").write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match=r"scores\.json"):
        read(tmp_path)


@pytest.mark.parametrize("read", [read_caption_scores, read_retrieval_scores])
def test_missing_score_sheet_is_an_artifact_error(tmp_path, read):
    with pytest.raises(ArtifactError, match=r"scores\.json"):
        read(tmp_path)
