"""Typed errors. Each message is one sentence that names the file, the record and the remedy."""

from schemas.text import escape_control_characters


class MRNNError(Exception):
    """Base of every error that a user can cause and mend; shown without a traceback.

    What the message quotes may hold line ends and control characters: they are written as escapes.
    """

    def __init__(self, message: str):
        """`message`: the sentence."""
        super().__init__(escape_control_characters(message))


class InputError(MRNNError):
    """A file given from outside (annotations, features, images, archives) is not what it should be."""


class ArtifactError(MRNNError):
    """An artifact of the pipeline is missing, damaged or does not belong to the others."""


class ConfigurationError(MRNNError):
    """A parameter or a combination of parameters makes no sense."""


class DownloadError(MRNNError):
    """A file cannot be downloaded from any of its addresses, or is not the expected file."""


class UploadError(MRNNError):
    """A place that a release is published to could not be reached or written."""


class RunnerError(MRNNError):
    """A Beam runner could not be reached, or gave up."""


class ResourceError(MRNNError):
    """The machine has too little of something, for example of memory."""


class TrainingError(MRNNError):
    """Training cannot go on, for example because the loss is no longer a number."""
