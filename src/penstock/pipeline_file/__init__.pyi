# The names that this package offers, and where each is defined.

from .built import Built as Built
from .loading import PipelineFile as PipelineFile, load as load
from .mistakes import Mistake as Mistake, PipelineFileError as PipelineFileError
from .model import PipelineModel as PipelineModel
from .objects import (
    PipelineObject as PipelineObject,
    is_import_path as is_import_path,
    pipeline_object as pipeline_object,
)
from .schema import json_schema as json_schema
from .writing import to_toml as to_toml
