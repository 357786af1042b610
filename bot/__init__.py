"""gateway-bot: keeps a digest-pinned upstream image current, provably."""

__version__ = "0.1.0"
