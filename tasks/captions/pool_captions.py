"""PoolCaptions: the hypotheses of several searches and models, merged image by image."""

from typing import Any

import luigi

from schemas.errors import ConfigurationError
from tasks.base.mixins import ModelParams, SplitParam
from tasks.base.stage import Stage
from tasks.captions.find_neighbors import FindNeighbors
from tasks.captions.generate_captions import GenerateCaptions
from tasks.data.tokenize_captions import TokenizeCaptions
from tasks.runtime.workspace import Workspace


class PoolCaptions(Stage, ModelParams, SplitParam):
    """Merge the hypotheses of several sources; each records the sources that contain it."""

    content = ("hypotheses.jsonl", "search.json")

    sources = luigi.DictParameter(
        default={"n-best": {}},
        description="Generated hypotheses of the pool: name -> parameters of GenerateCaptions that differ from the "
        'configured ones (search is n-best), such as {"n-best": {}, "seed 1": {"model_seeds": [1]}}.',
    )
    neighbors = luigi.IntParameter(
        default=0, description="Number of nearest training images whose captions are hypotheses too (0 = none)."
    )
    neighbor_features = luigi.ChoiceParameter(
        default="original", choices=["original", "refined"], description="Features by which these are found."
    )

    def requires(self) -> dict[str, Stage]:
        """Return the sources and the training captions.

        Raises:
            ConfigurationError: There is no source, or one has a parameter that does not change the hypotheses.
        """
        if not self.sources:
            raise ConfigurationError("The candidate pool is empty; set sources of [PoolCaptions].")
        required = {_input_name(name): self._generated(name, given) for name, given in self.sources.items()}
        if self.neighbors:
            required["neighbors"] = self.upstream(FindNeighbors, feature_kind=self.neighbor_features)
        return {**required, "captions": self.upstream(TokenizeCaptions)}

    def _generated(self, name: str, parameters: Any) -> Stage:
        # By other parameters Luigi does not tell tasks apart.
        known = {each for each, parameter in GenerateCaptions.get_params() if parameter.significant}
        unknown = sorted(set(parameters) - known)
        if unknown:
            raise ConfigurationError(
                f"Source {name!r} of [PoolCaptions] has {unknown[0]}, which is not a significant parameter of "
                "GenerateCaptions; remove it."
            )
        return self.upstream(GenerateCaptions, **{"search": "n-best", **parameters})

    def work(self, workspace: Workspace) -> None:
        """Write `hypotheses.jsonl` and `search.json`."""
        from pipelines.captions.pool_captions import PoolInputs, pool_captions

        inputs = workspace.inputs
        generated = {name: inputs[_input_name(name)] for name in self.sources}
        counts = pool_captions(
            PoolInputs(generated, inputs.get("neighbors"), inputs["captions"]), workspace.directory, self.neighbors
        )
        workspace.counts.update(counts)


def hypotheses_stage(task: Stage, **parameters: Any) -> Stage:
    """Return the stage with the hypotheses that are reranked.

    Args:
        task: A stage with `ModelParams` and `PoolParam`.
        parameters: Parameters of that stage, such as `split`.
    """
    if task.pool:
        return task.upstream(PoolCaptions, **parameters)
    return task.upstream(GenerateCaptions, search="n-best", **parameters)


def _input_name(source: str) -> str:
    return f"hypotheses {source}"
