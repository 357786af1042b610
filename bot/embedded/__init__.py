"""A container registry and a GitHub of our own on loopback: what `gateway-bot demo` and the tests talk to.

Nothing else imports this room. Its servers keep everything in memory.
"""
