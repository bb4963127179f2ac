"""The stages: what depends on what, where artifacts live, when they are complete. No algorithms.

`luigi --module tasks STAGE` runs any of them. TensorFlow and Beam are imported only inside `work`, which runs in a
process of its own. Importing this package has no side effects.
"""

from tasks.captions.find_neighbors import FindNeighbors
from tasks.captions.generate_captions import GenerateCaptions
from tasks.captions.rerank_captions import RerankCaptions
from tasks.captions.tune_reranking import TuneReranking
from tasks.cli.caption import CaptionImages
from tasks.cli.compare import CompareRuns
from tasks.cli.evaluate import EvaluateFile
from tasks.cli.gc import CollectGarbage
from tasks.cli.invalidate import Invalidate
from tasks.cli.rerank import RerankFile
from tasks.cli.show import ShowPipeline
from tasks.cli.validate import ValidateDataset
from tasks.cli.verify import VerifyArtifacts
from tasks.cli.verify_release import VerifyRelease
from tasks.data.download_dataset import DownloadDataset
from tasks.data.prepare_annotations import PrepareAnnotations
from tasks.data.tokenize_captions import TokenizeCaptions
from tasks.evaluation.evaluate_captions import EvaluateCaptions
from tasks.evaluation.evaluate_perplexity import EvaluatePerplexity
from tasks.evaluation.evaluate_retrieval import EvaluateRetrieval
from tasks.features.extract_features import ExtractFeatures
from tasks.features.import_features import ImportFeatures
from tasks.full_pipeline import FullPipeline
from tasks.release.publish_features import PublishFeatures
from tasks.report.build_report import BuildReport
from tasks.training.fine_tune_backbone import FineTuneBackbone
from tasks.training.refine_features import RefineFeatures
from tasks.training.train_model import TrainModel
from tasks.training.train_self_critical import TrainSelfCritical

__all__ = [
    "BuildReport",
    "CaptionImages",
    "CollectGarbage",
    "CompareRuns",
    "DownloadDataset",
    "EvaluateCaptions",
    "EvaluateFile",
    "EvaluatePerplexity",
    "EvaluateRetrieval",
    "ExtractFeatures",
    "FindNeighbors",
    "FineTuneBackbone",
    "FullPipeline",
    "GenerateCaptions",
    "ImportFeatures",
    "Invalidate",
    "PrepareAnnotations",
    "PublishFeatures",
    "RefineFeatures",
    "RerankCaptions",
    "RerankFile",
    "ShowPipeline",
    "TokenizeCaptions",
    "TrainModel",
    "TrainSelfCritical",
    "TuneReranking",
    "ValidateDataset",
    "VerifyArtifacts",
    "VerifyRelease",
]
