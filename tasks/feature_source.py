"""Which stage gives the image features: extracted here, or imported."""

import luigi

from tasks.extract_features import ExtractFeatures
from tasks.import_features import ImportFeatures
from tasks.stage import Stage


class UsesFeatures(Stage):
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
