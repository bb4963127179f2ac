"""The stages: what depends on what, where artifacts live, when they are complete. No algorithms.

`luigi --module tasks STAGE` runs any of them. TensorFlow and Beam are imported only inside `work`, which runs in a
process of its own.
"""

import sys

from tasks.build_report import BuildReport
from tasks.caption_images import CaptionImages
from tasks.collect_garbage import CollectGarbage
from tasks.compare_runs import CompareRuns
from tasks.download_dataset import DownloadDataset
from tasks.evaluate_captions import EvaluateCaptions
from tasks.evaluate_file import EvaluateFile
from tasks.evaluate_retrieval import EvaluateRetrieval
from tasks.extract_features import ExtractFeatures
from tasks.find_neighbours import FindNeighbours
from tasks.fine_tune_backbone import FineTuneBackbone
from tasks.full_pipeline import FullPipeline
from tasks.generate_captions import GenerateCaptions
from tasks.import_features import ImportFeatures
from tasks.invalidate import Invalidate
from tasks.logs import say_stopped
from tasks.prepare_annotations import PrepareAnnotations
from tasks.publish_features import PublishFeatures
from tasks.refine_features import RefineFeatures
from tasks.rerank_captions import RerankCaptions
from tasks.rerank_file import RerankFile
from tasks.show_pipeline import ShowPipeline
from tasks.tokenize_captions import TokenizeCaptions
from tasks.train_model import TrainModel
from tasks.tune_on_cider import TuneOnCider
from tasks.tune_reranking import TuneReranking
from tasks.validate_dataset import ValidateDataset
from tasks.verify_artifacts import VerifyArtifacts
from tasks.verify_release import VerifyRelease

__all__ = [
    "BuildReport",
    "CaptionImages",
    "CollectGarbage",
    "CompareRuns",
    "DownloadDataset",
    "EvaluateCaptions",
    "EvaluateFile",
    "EvaluateRetrieval",
    "ExtractFeatures",
    "FindNeighbours",
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
    "TuneOnCider",
    "TuneReranking",
    "ValidateDataset",
    "VerifyArtifacts",
    "VerifyRelease",
]

# Importing this module is the only thing that Luigi does here before it runs.
sys.excepthook = say_stopped
