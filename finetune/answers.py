"""What the preview says about a clip: fixed wordings, English and Chinese, from a library row.

A row is what `clips.library` says of a clip. This module knows no prompts and no conversations.
"""

from finetune.clips import questions
from finetune.clips.library import Row
from finetune.clips.numbers import chinese, words
from finetune.clips.sounds import BEEPING, SOUNDS

COMMAND = "python app.py --model Qwen/Qwen2-Audio-7B-Instruct"
HONEST = (
    "I am only the small preview model: I can write down English speech, answer simple spoken "
    f"questions, and name or count sounds; start the real one with `{COMMAND}`."
)
HONEST_ZH = (
    "我只是小型预览模型，能写下英语语音、回答简单的口头问题、辨认和数声音；"
    f"请用 `{COMMAND}` 启动完整模型。"
)
NOT_A_QUESTION = "I am only the small preview model and have no answer to that."
MUSIC = ("guitar", "drum")
COUNTED = {"beeps": ("beep", "声哔哔声"), "knocks": ("knock", "声敲门声")}


def honest(zh: bool) -> str:
    return HONEST_ZH if zh else HONEST


def is_speech(row: Row) -> bool:
    return row["text"] is not None


def spoken_text(row: Row) -> str:
    """The words of a speech clip as replies write them: numbers said alone stay words."""
    return row["words"].capitalize() if row["kind"] == "number" else row["text"]


def transcript(row: Row) -> str:
    """What is to be written at a clip's own frames: its words, its sound's name, each beep."""
    if is_speech(row):
        return spoken_text(row)
    if row["count"]:
        return " ".join([COUNTED[row["of"]][0]] * row["count"])
    return "" if row["sound"] == "silence" else sound_name(row, zh=False)


def sound_name(row: Row, zh: bool) -> str:
    """As a sentence says it: "a siren"."""
    if is_speech(row):
        return "有人在说话" if zh else "a person speaking"
    if row["of"] == "beeps":
        return BEEPING[2 if zh else 1]
    sound = SOUNDS["knocking" if row["of"] == "knocks" else row["sound"]]
    return sound.chinese if zh else sound.english


def sound(row: Row, zh: bool) -> str:
    if row["sound"] == "silence":
        return "我只听到寂静。" if zh else "I hear only silence."
    return f"我听到{sound_name(row, zh)}。" if zh else f"I hear {sound_name(row, zh)}."


def transcribe(row: Row, zh: bool) -> str:
    if is_speech(row):
        return spoken_text(row)
    return f"没有人说话。{sound(row, zh)}" if zh else f"There is no speech. {sound(row, zh)}"


def say(row: Row, zh: bool) -> str:
    if not is_speech(row):
        return transcribe(row, zh)
    return f"这个人说：“{spoken_text(row)}”" if zh else f'The person says: "{spoken_text(row)}"'


def repeat(row: Row, zh: bool) -> str:
    return f"这个人说的是：“{spoken_text(row)}”" if zh else f'The person said: "{spoken_text(row)}"'


def describe(row: Row, zh: bool) -> str:
    if not is_speech(row):
        return count(row, zh) if row["count"] else sound(row, zh)
    who, does = {"male": ("a man", "He says"), "female": ("a woman", "She says")}.get(
        row["gender"], ("a person", "They say")
    )
    who_zh = {"male": "一个男人", "female": "一个女人"}.get(row["gender"], "一个人")
    if zh:
        return f"我听到{who_zh}在说：“{spoken_text(row)}”"
    return f'I hear {who}. {does}: "{spoken_text(row)}"'


def count(row: Row, zh: bool) -> str:
    """Beeps or knocks by their number; anything else by its name."""
    if not row["count"]:
        return sound(row, zh)
    name, name_zh = COUNTED[row["of"]]
    if zh:
        return f"我听到{chinese(row['count'])}{name_zh}。".replace("二声", "两声")
    return f"I hear {words(row['count'])} {name}{'s' if row['count'] > 1 else ''}."


def gender(row: Row, zh: bool) -> str | None:
    """None where the voice could be either."""
    if not is_speech(row):
        return transcribe(row, zh)
    if row["gender"] is None:
        return None
    male = row["gender"] == "male"
    if zh:
        return "是男声。" if male else "是女声。"
    return "It is a man." if male else "It is a woman."


def level(row: Row, zh: bool) -> str | None:
    """None where it is neither loud nor quiet."""
    if row["level"] not in ("loud", "quiet"):
        return None
    loud = row["level"] == "loud"
    if zh:
        return "声音很大。" if loud else "声音很小。"
    return "It is loud." if loud else "It is quiet."


def pitch(row: Row, zh: bool) -> str | None:
    """None where it is neither high nor low."""
    if row["pitch"] is None:
        return None
    if zh:
        return "音调很高。" if row["pitch"] == "high" else "音调很低。"
    return f"It is {row['pitch']}."


def length(row: Row, zh: bool) -> str:
    seconds = max(1, round(row["seconds"]))
    if zh:
        return f"大约{chinese(seconds)}秒。".replace("约二秒", "约两秒")
    return f"It is about {words(seconds)} second{'s' if seconds > 1 else ''} long."


def music(row: Row, zh: bool) -> str:
    if row["sound"] in MUSIC:
        return f"是音乐，{sound(row, zh)}" if zh else f"Yes, that is music. {sound(row, zh)}"
    return f"这不是音乐。{sound(row, zh)}" if zh else f"No, that is not music. {sound(row, zh)}"


def answer(row: Row, zh: bool) -> str:
    """To the question in the clip, in its language; what is heard where there is none."""
    if row["question"]:
        return questions.answer(row["question"])
    return voice(row, zh)


def voice(row: Row, zh: bool = False) -> str:
    """The reply to a clip that comes without a word: voice chat."""
    if row["question"]:
        return questions.answer(row["question"])
    if is_speech(row):
        return f'I heard: "{spoken_text(row)}" {NOT_A_QUESTION}'
    return count(row, zh) if row["count"] else sound(row, zh)
