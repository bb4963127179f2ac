"""Rows of the score table of the report."""

from typing import Any

import luigi

from tasks.base.mixins import ModelParams, PoolParam
from tasks.base.stage import Stage
from tasks.captions.rerank_captions import RerankCaptions
from tasks.evaluation.evaluate_captions import EvaluateCaptions
from tasks.evaluation.evaluate_retrieval import EvaluateRetrieval

BEAM_ROW = "m-RNN, beam"
N_BEST_ROW = "m-RNN, n-best"
CONSENSUS_ROW = "m-RNN, reranked (CIDEr, refined)"


class AllScores(Stage, ModelParams, PoolParam):
    """Base class of tasks that read all scores on the test split."""

    compare_blind = luigi.BoolParameter(
        config_path={"section": "pipeline", "name": "compare_blind"},
        default=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description="Also train and score the same model on shuffled image features.",
    )

    def score_rows(self) -> dict[str, Stage]:
        """Return EvaluateCaptions by the label of its row, always with the configured reranking."""

        def row(**options: Any) -> Stage:
            return self.upstream(EvaluateCaptions, split="test", **options)

        # These rerank the n-best hypotheses, with or without a pool.
        n_best: dict[str, Any] = {"captions": "reranked", "pool": False}

        rows = {
            "m-RNN, greedy": row(captions="greedy"),
            BEAM_ROW: row(captions="beam"),
            N_BEST_ROW: row(captions="n-best"),
            CONSENSUS_ROW: row(**n_best, similarity="cider", feature_kind="refined"),
            "m-RNN, reranked (BLEU, refined)": row(**n_best, similarity="bleu", feature_kind="refined"),
            "m-RNN, reranked (CIDEr, original)": row(**n_best, similarity="cider", feature_kind="original"),
            "m-RNN, reranked (CIDEr, self)": row(**n_best, similarity="cider", method="self-consensus"),
            "m-RNN, reranked (tuned)": row(captions="reranked", method="tuned"),
        }
        # `upstream` shares similarity and the like, whichever of the two stages comes first.
        configured = self.upstream(RerankCaptions, split="test").upstream(EvaluateCaptions, captions="reranked")
        if configured not in rows.values():
            rows["m-RNN, reranked (as configured)"] = configured
        if self.compare_blind:
            rows["image-blind control, beam"] = row(captions="beam", image_input="shuffled")
        return rows

    def retrieval(self) -> Stage:
        """Return EvaluateRetrieval of the test split."""
        return self.upstream(EvaluateRetrieval, split="test")
