"""The stage that provides image features."""

from tasks.base.stage import Stage
from tasks.features.extract_features import ExtractFeatures
from tasks.features.import_features import ImportFeatures


def features_stage(task: Stage) -> Stage:
    """Return ExtractFeatures or ImportFeatures.

    Args:
        task: A stage with `FeatureSourceParam`.
    """
    return task.upstream(ExtractFeatures if task.feature_source == "extract" else ImportFeatures)
