"""What the tables `[[environment]]` of gateway-bot.toml mean: checked, and as the core's values."""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.model import Deployment, Image, TerraformService
from bot.settings.grammar import EnvironmentTable, TerraformServiceTable
from bot.settings.meaning import invalid, plain_path


def deployments(entries: Sequence[EnvironmentTable], images: Sequence[Image]) -> tuple[Deployment, ...]:
    """The tables `[[environment]]`, in their order. Raises UsageError."""
    found: list[Deployment] = []
    for number, entry in enumerate(entries):
        deployment = _deployment(entry, images, f"environment[{number}]")
        if deployment.name in {other.name for other in found}:
            raise invalid(f"environment[{number}].name: there are two environments {deployment.name!r}")
        found.append(deployment)
    return tuple(found)


def _deployment(entry: EnvironmentTable, images: Sequence[Image], at: str) -> Deployment:
    names = [image.name for image in images]
    if not entry.image and len(names) > 1:
        raise invalid(f"{at}.image: there are several images; name one of {', '.join(names)}")
    if entry.image and entry.image not in names:
        raise invalid(f"{at}.image: there is no image {entry.image[:80]!r}; there are {', '.join(names)}")
    if entry.terraform is None:
        raise invalid(f"{at}: it does not say how the service runs; add `terraform`")
    return Deployment(entry.name, entry.image or names[0], _terraform(entry.terraform, entry.name, f"{at}.terraform"))


def _terraform(entry: TerraformServiceTable, name: str, at: str) -> TerraformService:
    if entry.folder != ".":
        plain_path(entry.folder, f"{at}.folder")
    for number, path in enumerate(entry.var_files):
        plain_path(path, f"{at}.var_files[{number}]")
    for number, setting in enumerate(entry.backend_config):
        if "=" not in setting:
            plain_path(setting, f"{at}.backend_config[{number}]")
        elif not setting.isprintable():
            raise invalid(f"{at}.backend_config[{number}]: a value in it cannot be printed")
    # its own, so that whoever works in that folder goes on with the state that they had
    working = f".terraform/{name}" if entry.backend_config else ""
    return TerraformService(entry.folder, entry.var_files, entry.variable, entry.backend_config, working)
