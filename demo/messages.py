"""What the demo says when something goes wrong, in the two languages of its page.

A `UserError` carries the key of its sentence and the values in it, so that the page can say it
in the visitor's language, while a terminal and the API get English from `str(error)`. This
module knows neither audio nor models: each room registers its own sentences here by `Sentences`.

The exceptions' tree::

    UserError
      AudioError         (demo.audio)         a clip cannot be heard
      ConversationError  (demo.conversation)  a conversation is not in the model card's form
      EngineError        (demo.engine)        a reply cannot be made
"""

from typing import Any, ClassVar, Literal

Language = Literal["en", "zh"]
Sentences = dict[str, tuple[str, str]]
"""A key to its English and its Chinese sentence, with `str.format` fields for the values."""


def language_of(accept_language: str | None, wanted: str = "") -> Language:
    """Which of the page's languages a browser asks for by its Accept-Language header.

    Where the host `wanted` one of them, it is that one.
    """
    if wanted in ("en", "zh"):
        return "zh" if wanted == "zh" else "en"
    first = (accept_language or "").split(",")[0].strip().lower()
    return "zh" if first.startswith("zh") else "en"


def size(count: float) -> str:
    """A number of bytes as a person reads it: "28 MB", "16.8 GB"; the same in both languages."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


class Message:
    """One sentence for the person at the page: its key and the values that stand in it.

    A value that is a message itself is told in the language of the sentence around it.

    Raises:
        KeyError: if `key` is not among `sentences` (a programmer's mistake, not a user's).
    """

    def __init__(self, sentences: Sentences, key: str, **values: object) -> None:
        self.sentences = sentences
        self.key = key
        self.values = values
        sentences[key]  # fail where the mistake is made, not where the sentence is shown

    def say(self, language: Language = "en") -> str:
        english, chinese = self.sentences[self.key]
        values = {
            name: value.say(language) if isinstance(value, Message) else value
            for name, value in self.values.items()
        }
        return (chinese if language == "zh" else english).format(**values)

    def __str__(self) -> str:
        return self.say()


class UserError(Exception):
    """An error that is told to the person who caused it, in one clear sentence."""

    sentences: ClassVar[Sentences] = {}

    def __init__(self, key: str, **values: object) -> None:
        self.message = Message(self.sentences, key, **values)
        super().__init__(str(self.message))

    def __reduce__(self) -> tuple[Any, ...]:
        """Lets the error cross from a process in which a file is read or a reply is made."""
        return _rebuilt, (type(self), self.key, self.message.values)

    @property
    def key(self) -> str:
        return self.message.key

    def say(self, language: Language = "en") -> str:
        """The sentence in `language`."""
        return self.message.say(language)


def _rebuilt(kind: type[UserError], key: str, values: dict[str, object]) -> UserError:
    return kind(key, **values)
