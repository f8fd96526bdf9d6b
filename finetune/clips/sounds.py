"""Which sounds there are, what they are called, and clips of counted beeps or knocks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from finetune.clips import nature, things, tones
from finetune.clips.library import SAMPLE_RATE
from finetune.clips.tones import Rng

Pitch = Literal["high", "low"]
Counted = Literal["beeps", "knocks"]
LOW_HERTZ, HIGH_HERTZ = 380, 1300
"""A tone below the one is called low, above the other high, and between them neither."""


@dataclass(frozen=True)
class Sound:
    """A name in the index, how an answer says it in both languages, and its maker."""

    name: str
    english: str
    chinese: str
    make: Callable[[Rng], np.ndarray]


SOUNDS: dict[str, Sound] = {
    sound.name: sound
    for sound in (
        Sound("tone", "a steady tone", "一个持续的纯音", tones.tone),
        Sound("rising sweep", "a rising sweep", "一个上升的扫频音", tones.rising_sweep),
        Sound("falling sweep", "a falling sweep", "一个下降的扫频音", tones.falling_sweep),
        Sound("white noise", "white noise", "白噪声", nature.white_noise),
        Sound("wind", "wind blowing", "风声", nature.wind),
        Sound("siren", "a siren", "警笛声", tones.siren),
        Sound("bell", "a bell", "钟声", tones.bell),
        Sound("engine", "an engine running", "发动机的声音", things.engine),
        Sound("glass breaking", "glass breaking", "玻璃破碎的声音", things.glass),
        Sound("clock ticking", "a clock ticking", "时钟的滴答声", things.clock),
        Sound("knocking", "knocking on a door", "敲门声", things.knocking),
        Sound("rain", "rain falling", "下雨的声音", nature.rain),
        Sound("phone ringing", "a phone ringing", "电话铃声", tones.phone),
        Sound("alarm", "an alarm", "警报声", tones.alarm),
        Sound("dog barking", "a dog barking", "狗叫声", nature.dog),
        Sound("bird chirping", "a bird chirping", "鸟叫声", nature.bird),
        Sound("footsteps", "footsteps", "脚步声", things.footsteps),
        Sound("applause", "applause", "掌声", nature.applause),
        Sound("heartbeat", "a heartbeat", "心跳声", nature.heartbeat),
        Sound("water dripping", "water dripping", "滴水声", nature.water),
        Sound("car horn", "a car horn", "汽车喇叭声", tones.horn),
        Sound("whistle", "a whistle", "口哨声", tones.whistle),
        Sound("drum", "drums", "鼓声", things.drum),
        Sound("guitar", "a guitar", "吉他声", tones.guitar),
        Sound("thunder", "thunder", "雷声", nature.thunder),
        Sound("laughter", "laughter", "笑声", nature.laughter),
        Sound("cat meowing", "a cat meowing", "猫叫声", nature.cat),
        Sound("typing", "typing on a keyboard", "敲键盘的声音", things.typing),
        Sound("ocean waves", "ocean waves", "海浪声", nature.waves),
        Sound("fire", "a fire crackling", "火焰的噼啪声", nature.fire),
        Sound("frog", "a frog croaking", "青蛙叫声", nature.frog),
        Sound("helicopter", "a helicopter", "直升机的声音", things.helicopter),
        Sound("drill", "an electric drill", "电钻声", things.drill),
        Sound("silence", "silence", "寂静", things.silence),
    )
}
BEEPING = ("beeping", "beeping", "哔哔声")
"""What counted beeps are called where somebody asks for the sound: name, English, Chinese."""


def pitch_of(hertz: float) -> Pitch | None:
    if hertz < LOW_HERTZ:
        return "low"
    return "high" if hertz > HIGH_HERTZ else None


def counted(count: int, of: Counted, rng: Rng) -> np.ndarray:
    """`count` beeps or knocks, all alike, that a listener can count."""
    gap = rng.uniform(0.15, 0.55)
    if of == "knocks":
        one = things.knock(rng)
    else:
        hertz, seconds = tones.log_uniform(rng, 300, 3200), rng.uniform(0.07, 0.35)
        shape = str(rng.choice(["sine", "square", "saw"]))
        course = np.full(int(seconds * SAMPLE_RATE), hertz)
        one = tones.faded(tones.oscillate(course, shape), 0.008)
    rests = [np.zeros(int(gap * rng.uniform(0.95, 1.05) * SAMPLE_RATE)) for _ in range(count)]
    strokes = [piece for rest in rests for piece in (one * rng.uniform(0.85, 1), rest)]
    return np.concatenate(strokes[:-1]).astype(np.float32)
