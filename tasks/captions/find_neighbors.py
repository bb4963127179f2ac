"""FindNeighbors: the training images that are most like each image of a split."""

import luigi

from tasks.base.stage import Stage
from tasks.captions.generate_captions import SplitParam
from tasks.data.prepare_annotations import PrepareAnnotations
from tasks.runtime.workspace import Workspace
from tasks.training.refine_features import RefineFeatures


class FeatureKindParam(SplitParam):
    """A stage that compares images by one kind of features."""

    feature_kind = luigi.ChoiceParameter(
        default="refined", choices=["refined", "original"], description="features by which images are compared"
    )


class FindNeighbors(FeatureKindParam):
    """Nearest neighbors of the split's images among the training images, exact unless an index is asked for."""

    version = 2  # the file says which index found them, and its recall

    metric = luigi.ChoiceParameter(
        default="euclidean", choices=["euclidean", "cosine"], description="distance (paper: euclidean)"
    )
    count = luigi.IntParameter(default=1000, description="neighbors kept")
    index = luigi.ChoiceParameter(
        default="exact",
        choices=["exact", "ivf"],
        description="`ivf`: approximate, by an inverted file of FAISS (the extra faiss)",
    )
    probes = luigi.IntParameter(default=32, description="of `ivf`: lists that are looked at for an image")

    def requires(self) -> dict[str, Stage]:
        """The features and the list of images."""
        features = self.upstream(RefineFeatures) if self.feature_kind == "refined" else self.features()
        return {"features": features, "annotations": self.upstream(PrepareAnnotations)}

    def work(self, workspace: Workspace) -> None:
        """Writes `neighbors.h5`."""
        from model.reranking.approximate_neighbors import nearest_by_index
        from model.reranking.neighbors import nearest
        from schemas.annotations import read_annotations
        from schemas.features import FeatureFile
        from schemas.io.files import digest_file
        from schemas.neighbors import Neighbors, write_neighbors

        path = workspace.inputs["features"] / "features.h5"
        features = FeatureFile(path)
        target_ids, reference_ids = (
            [
                image.image_id
                for image in read_annotations(workspace.inputs["annotations"], split)
                if image.image_id in features
            ]
            for split in (self.split, "train")
        )
        targets, references = features.read(target_ids), features.read(reference_ids)

        def progress(done: float) -> None:
            workspace.progress(done, f"{len(targets)} images against {len(references)}")

        if self.index == "exact":
            indices, distances = nearest(targets, references, self.count, self.metric, progress)
            recall = 1.0
        else:
            indices, distances, recall = nearest_by_index(
                targets, references, self.count, self.metric, self.probes, progress
            )
        digest = digest_file(path)
        write_neighbors(
            workspace.directory / "neighbors.h5",
            Neighbors(target_ids, reference_ids, indices, distances),
            kind=self.feature_kind,
            metric=self.metric,
            target_digest=digest,
            reference_digest=digest,
            index=self.index,
            recall=recall,
        )
        workspace.counts.update(targets=len(target_ids), references=len(reference_ids), recall=round(recall, 4))
