"""The summary that a run prints."""

import json

from model.text.detokenize import detokenize
from pipelines.report.data import ReportInputs
from pipelines.report.summary import EXAMPLES, format_summary, summarize
from schemas.annotations import read_annotations
from schemas.hypotheses import read_hypotheses


def test_summary_shows_first_captions_with_a_reference(inputs: ReportInputs) -> None:
    images = {image.image_id: image for image in read_annotations(inputs.annotations, "test")}
    assert inputs.retrieval
    summary = json.loads(json.dumps(summarize(inputs.scores, "beam", images, inputs.retrieval, None)))
    beam = {each.image_id: each.captions[0].tokens for each in read_hypotheses(inputs.hypotheses)}
    shown = summary["examples"]["captions"]
    assert [each["image_id"] for each in shown] == list(beam)[:EXAMPLES]
    for each in shown:
        assert each["caption"] == detokenize(beam[each["image_id"]])
        assert each["reference"] == images[each["image_id"]].captions[0]


def test_summary_is_printed_without_control_characters() -> None:
    example = {"image_id": "one", "caption": "a dog, running", "reference": "red \x1b[31m text"}
    text = format_summary(
        {
            "rows": [{"label": "m-RNN, beam", "perplexity": 3.1, "CIDEr-D": 1.5}],
            "images": 1,
            "retrieval": {},
            "examples": {"label": "m-RNN, beam", "captions": [example]},
            "note": None,
        }
    )
    assert "\x1b" not in text
    assert text.endswith(
        "m-RNN, beam: first image of the test split\none\n  caption    a dog, running\n  reference  red \\x1b[31m text"
    )
