"""FullPipeline with every stage once: one row of scores in place of seven, since it is run many times."""

from tasks.build_report import BuildReport
from tasks.full_pipeline import FullPipeline
from tasks.publish_features import PublishFeatures
from tasks.stage import Stage


class LeanReport(BuildReport):
    """The report on reranked captions alone."""

    def score_rows(self) -> dict[str, Stage]:
        """One of them."""
        label = "m-RNN, reranked (CIDEr, refined)"
        return {label: super().score_rows()[label]}


class LeanPipeline(FullPipeline):
    """Everything, with that report."""

    def requires(self) -> dict[str, Stage]:
        """The two ends of the graph."""
        return {"report": self.upstream(LeanReport), "release": self.upstream(PublishFeatures)}
