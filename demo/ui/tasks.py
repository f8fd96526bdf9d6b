"""The prompts of the task buttons, in the visitor's language."""

from demo.messages import Language

LANGUAGES = ("english", "chinese", "french", "german", "japanese", "spanish")

PROMPTS: dict[str, tuple[str, str]] = {
    "transcribe": ("Transcribe the speech.", "请将这段语音转写成文字。"),
    "translate": ("Translate the speech into {language}.", "请把这段语音翻译成{language}。"),
    "describe": ("Describe what you hear.", "请描述你听到的内容。"),
    "sound": ("What is that sound?", "这是什么声音？"),
    "emotion": ("What is the mood of the speaker?", "说话人的情绪是怎样的？"),
    "music": (
        "Describe this music: its genre, its instruments and its mood.",
        "请描述这段音乐的风格、乐器和情绪。",
    ),
}

TASKS = tuple(PROMPTS)

NAMES: dict[str, tuple[str, str]] = {
    "english": ("English", "英语"),
    "chinese": ("Chinese", "中文"),
    "french": ("French", "法语"),
    "german": ("German", "德语"),
    "japanese": ("Japanese", "日语"),
    "spanish": ("Spanish", "西班牙语"),
}


def prompt(task: str, target: str, language: Language) -> str:
    """What the button of `task` fills in; `target` is the language of a translation."""
    place = 1 if language == "zh" else 0
    return PROMPTS[task][place].format(language=NAMES[target][place])
