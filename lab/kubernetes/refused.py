"""What an API server says when it does not do what it was asked."""


class Refused(Exception):
    """The API server's own words; `code` is the HTTP status (404: no such object or kind, 409: conflict, 422: invalid)."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code
