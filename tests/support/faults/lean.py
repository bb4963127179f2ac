"""FullPipeline with every stage once: one row of scores in place of seven, since it is run many times."""

from tasks.base.stage import Stage
from tasks.full_pipeline import FullPipeline
from tasks.release.publish_features import PublishFeatures
from tasks.report.build_report import BuildReport


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
