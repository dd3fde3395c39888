"""What the parts of a campaign file have in common."""

from typing import Any, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationInfo, field_validator

from sdl.campaign.toml import validate_input


class Written(BaseModel):
    """What a person writes: where a number or a name belongs, true and false are neither.

    Raises:
        InvalidInput: listing every fault, where it is made in Python.
    """

    def __new__(cls, /, *_: Any, **written: Any) -> Self:
        if written:
            validate_input(cls, written, cls.__name__.lower())  # in our sentences; pydantic has others for what follows
        return super().__new__(cls)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        field = cls.model_fields[str(info.field_name)]
        kinds = (field.annotation, *get_args(field.annotation))
        judges_itself = any(isinstance(rule, BeforeValidator) for rule in field.metadata)
        if (
            bool in kinds
            or judges_itself
            or any(isinstance(kind, type) and issubclass(kind, BaseModel) for kind in kinds)
        ):
            return value
        if any(isinstance(each, bool) for each in (value.values() if isinstance(value, dict) else [value])):
            raise ValueError(f"needs no true or false, got {value!r}")
        return value


class Section(Written):
    """A table of a campaign file: closed to unknown keys, and fixed once it is read."""

    # What stands below a field is the help beside it in Prefect's form.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
