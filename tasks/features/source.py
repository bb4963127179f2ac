"""Which stage gives the image features: extracted here, or imported."""

import luigi

from tasks.base.stage import Stage
from tasks.features.extract_features import ExtractFeatures
from tasks.features.import_features import ImportFeatures


class FeaturesInput(Stage):
    """A stage that reads image features."""

    feature_source = luigi.ChoiceParameter(
        config_path={"section": "pipeline", "name": "feature_source"},
        default="extract",
        choices=["extract", "import"],
        significant=False,  # the key of the required stage says it
        description="`extract` or `import`",
    )

    def features(self) -> Stage:
        """ExtractFeatures or ImportFeatures."""
        return self.upstream(ExtractFeatures if self.feature_source == "extract" else ImportFeatures)
