"""ImportFeatures: image features that were computed elsewhere."""

from pathlib import Path
from typing import Any

import luigi

from schemas.errors import ConfigurationError
from schemas.io.files import digest_source
from tasks.base.stage import Stage
from tasks.base.storage import configure_storage
from tasks.data.prepare_annotations import PrepareAnnotations
from tasks.runtime.workspace import Workspace


class ImportFeatures(Stage):
    """Read a feature file in another project's format, and store the rows of the dataset's images."""

    version = 2  # feature rows are stored contiguously
    keyed_by_content = ("annotations",)

    path = luigi.Parameter(
        default="",
        description="File or directory of features, or URL of such a file; see docs/reference/artifacts.md.",
    )
    kind = luigi.Parameter(default="imported", description="Kind of the features.")
    dtype = luigi.ChoiceParameter(
        default="float16", choices=["float16", "float32"], description="Type of the stored features."
    )
    strip_suffix = luigi.Parameter(default="", description="Suffix to remove from ids of the file, such as .jpg.")
    allow_missing = luigi.BoolParameter(default=False, description="Treat images without features as rejects.")

    def requires(self) -> dict[str, Stage]:
        """Return the list of the images."""
        return {"annotations": self.upstream(PrepareAnnotations)}

    def parameters(self, significant: bool) -> dict[str, Any]:
        """Return the parameters; the content of the file is significant instead of its location."""
        values = super().parameters(significant)
        if significant:
            del values["path"]
            return {
                **values,
                "content": self._content(),
                "images": self.upstream(PrepareAnnotations).images_digest,
            }
        return {**values, "path": self.path}

    def _content(self) -> str | None:
        # `work` reports a missing file.
        if "://" in self.path:
            from pipelines import storage

            configure_storage()
            return storage.fingerprint(self.path) if storage.exists(self.path) else None
        return digest_source(Path(self.path)) if self.path and Path(self.path).exists() else None

    def work(self, workspace: Workspace) -> None:
        """Write `features.h5` and `rejects.jsonl`."""
        from pipelines.features.import_features import import_features
        from schemas.annotations import read_annotations
        from schemas.features import write_rejects

        if not self.path:
            raise ConfigurationError("ImportFeatures has no path; set it in [ImportFeatures] or by --path.")
        source = Path(self.path)
        if "://" in self.path:
            from pipelines.features.import_features import download_features

            configure_storage()
            source = download_features(self.path, workspace.scratch)
        image_ids = [image.image_id for image in read_annotations(workspace.inputs["annotations"])]
        rejects = import_features(
            source,
            image_ids,
            workspace.directory / "features.h5",
            kind=self.kind,
            dtype=self.dtype,
            dataset=self.dataset,
            strip_suffix=self.strip_suffix,
            allow_missing=self.allow_missing,
            progress=workspace.progress,
        )
        write_rejects(workspace.directory, rejects)
        workspace.counts.update(images=len(image_ids), rejected=len(rejects))
