"""What the parts of a campaign file have in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of a campaign file: closed to unknown keys, and fixed once it is read."""

    # What stands below a field is the help beside it in Prefect's form.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
