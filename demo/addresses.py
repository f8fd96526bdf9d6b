"""What a clip's address is: a URL, a data: URL or a path; schemes are known in any case. Pure."""


def is_url(text: str) -> bool:
    """Whether `text` is a URL of any scheme, and not a path (nor a drive)."""
    scheme, colon, rest = text.partition(":")
    return bool(colon and len(scheme) > 1 and scheme.isalnum() and rest.startswith("//"))


def is_data_url(text: str) -> bool:
    return text[:5].lower() == "data:"


def is_outside(text: str) -> bool:
    """Whether `text` names nothing of this machine: an http(s) or a data: URL."""
    return is_data_url(text) or text[:8].lower().startswith(("http://", "https://"))
