"""gateway-bot.toml and the environment, parsed once into frozen values."""

from bot.settings.environment import Environment, read_environment
from bot.settings.file import Settings, json_schema, read_settings, settings_in
from bot.settings.meaning import FILE

__all__ = ["FILE", "Environment", "Settings", "json_schema", "read_environment", "read_settings", "settings_in"]
