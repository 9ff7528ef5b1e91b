"""The failure of a check."""


class CheckFailure(Exception):
    """A failed check; the message is the reason, which people and models act on."""
