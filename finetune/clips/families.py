"""Spoken questions with arguments: arithmetic, what comes next, capitals, opposites, spelling.

A family knows how its arguments are drawn, how it is asked and what the right answer is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from finetune.clips.numbers import chinese, words

Language = Literal["en", "zh"]
Arguments = dict[str, Any]

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
CAPITALS = {
    **{"France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid"},
    **{"England": "London", "China": "Beijing", "Japan": "Tokyo", "Russia": "Moscow"},
    **{"Egypt": "Cairo", "Canada": "Ottawa", "Greece": "Athens", "Portugal": "Lisbon"},
    **{"Austria": "Vienna", "Poland": "Warsaw", "Norway": "Oslo", "Sweden": "Stockholm"},
}
OPPOSITES = {
    **{"hot": "cold", "big": "small", "up": "down", "good": "bad", "happy": "sad", "fast": "slow"},
    **{"old": "new", "light": "dark", "open": "closed", "full": "empty", "high": "low"},
    **{"left": "right", "day": "night", "rich": "poor", "hard": "soft", "early": "late"},
    **{"wet": "dry", "long": "short", "loud": "quiet", "black": "white"},
}
SPELLED = (
    *("cat", "dog", "house", "tree", "water", "book", "apple", "green", "hello", "music"),
    *("friend", "school", "table", "light", "bread", "paper"),
)


@dataclass(frozen=True)
class Family:
    """Questions that differ in their arguments: how they are drawn, asked and answered."""

    wordings: tuple[str, ...]
    draw: Callable[[np.random.Generator], Arguments]
    answer: Callable[[Arguments], str]
    language: Language = "en"


def two_numbers(low: int, high: int) -> Callable[[np.random.Generator], Arguments]:
    return lambda rng: {
        "a": int(rng.integers(low, high + 1)),
        "b": int(rng.integers(low, high + 1)),
    }


def two_falling(rng: np.random.Generator) -> Arguments:
    first = int(rng.integers(0, 21))
    return {"a": first, "b": int(rng.integers(0, first + 1))}


def one_of(
    values: tuple[Any, ...] | range, name: str
) -> Callable[[np.random.Generator], Arguments]:
    return lambda rng: {name: values[int(rng.integers(len(values)))]}


def sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def next_in(cycle: tuple[str, ...], item: str, steps: int) -> str:
    return cycle[(cycle.index(item) + steps) % len(cycle)]


def counting(arguments: Arguments) -> str:
    return sentence(", ".join(words(number) for number in range(1, arguments["n"] + 1)))


FAMILIES: dict[str, Family] = {
    "add": Family(
        (
            "What is {a} plus {b}?",
            "What's {a} plus {b}?",
            "How much is {a} plus {b}?",
            "Add {a} and {b}.",
            "Can you tell me what {a} plus {b} is?",
            "{a} plus {b}, please.",
        ),
        two_numbers(0, 20),
        lambda of: sentence(
            f"{words(of['a'])} plus {words(of['b'])} is {words(of['a'] + of['b'])}"
        ),
    ),
    "subtract": Family(
        (
            "What is {a} minus {b}?",
            "What's {a} minus {b}?",
            "How much is {a} minus {b}?",
            "Take {b} away from {a}.",
            "Can you tell me what {a} minus {b} is?",
            "Subtract {b} from {a}.",
        ),
        two_falling,
        lambda of: sentence(
            f"{words(of['a'])} minus {words(of['b'])} is {words(of['a'] - of['b'])}"
        ),
    ),
    "multiply": Family(
        (
            "What is {a} times {b}?",
            "What's {a} times {b}?",
            "How much is {a} times {b}?",
            "Multiply {a} by {b}.",
            "Can you tell me what {a} times {b} is?",
        ),
        two_numbers(0, 6),
        lambda of: sentence(
            f"{words(of['a'])} times {words(of['b'])} is {words(of['a'] * of['b'])}"
        ),
    ),
    "half": Family(
        (
            "What is half of {n}?",
            "What's half of {n}?",
            "How much is half of {n}?",
            "Tell me half of {n}.",
        ),
        one_of(range(2, 41, 2), "n"),
        lambda of: sentence(f"half of {words(of['n'])} is {words(of['n'] // 2)}"),
    ),
    "double": Family(
        (
            "What is double {n}?",
            "What is twice {n}?",
            "How much is two times {n}?",
            "Double {n}, please.",
        ),
        one_of(range(1, 21), "n"),
        lambda of: sentence(f"twice {words(of['n'])} is {words(of['n'] * 2)}"),
    ),
    "next_number": Family(
        (
            "What number comes after {n}?",
            "Which number comes after {n}?",
            "Tell me the number after {n}.",
            "What is the next number after {n}?",
        ),
        one_of(range(0, 40), "n"),
        lambda of: sentence(f"after {words(of['n'])} comes {words(of['n'] + 1)}"),
    ),
    "count_to": Family(
        (
            "Count to {n}.",
            "Please count to {n}.",
            "Can you count to {n}?",
            "Count from one to {n}.",
        ),
        one_of(range(3, 11), "n"),
        counting,
    ),
    "day_after": Family(
        (
            "What day comes after {day}?",
            "Which day comes after {day}?",
            "What is the day after {day}?",
            "Tell me which day follows {day}.",
        ),
        one_of(DAYS, "day"),
        lambda of: f"After {of['day']} comes {next_in(DAYS, of['day'], 1)}.",
    ),
    "day_before": Family(
        (
            "What day comes before {day}?",
            "Which day comes before {day}?",
            "What is the day before {day}?",
            "Tell me which day is before {day}.",
        ),
        one_of(DAYS, "day"),
        lambda of: f"Before {of['day']} comes {next_in(DAYS, of['day'], -1)}.",
    ),
    "month_after": Family(
        (
            "What month comes after {month}?",
            "Which month comes after {month}?",
            "What is the month after {month}?",
            "Tell me which month follows {month}.",
        ),
        one_of(MONTHS, "month"),
        lambda of: f"After {of['month']} comes {next_in(MONTHS, of['month'], 1)}.",
    ),
    "capital": Family(
        (
            "What's the capital of {country}?",
            "What is the capital of {country}?",
            "Which city is the capital of {country}?",
            "Tell me the capital of {country}.",
            "Do you know the capital of {country}?",
        ),
        one_of(tuple(CAPITALS), "country"),
        lambda of: f"The capital of {of['country']} is {CAPITALS[of['country']]}.",
    ),
    "opposite": Family(
        (
            "What is the opposite of {word}?",
            "What's the opposite of {word}?",
            "Tell me the opposite of {word}.",
            "Which word is the opposite of {word}?",
        ),
        one_of(tuple(OPPOSITES), "word"),
        lambda of: f"The opposite of {of['word']} is {OPPOSITES[of['word']]}.",
    ),
    "spell": Family(
        (
            "Spell {word}.",
            "How do you spell {word}?",
            "Can you spell the word {word}?",
            "Please spell {word}.",
        ),
        one_of(SPELLED, "word"),
        lambda of: f"{of['word'].capitalize()} is spelled {'-'.join(of['word'].upper())}.",
    ),
    "zh_add": Family(
        ("{a}加{b}等于几？", "{a}加{b}是多少？", "请问{a}加{b}等于多少？", "算一下{a}加{b}。"),
        two_numbers(0, 10),
        lambda of: f"{chinese(of['a'])}加{chinese(of['b'])}等于{chinese(of['a'] + of['b'])}。",
        "zh",
    ),
    "zh_tomorrow": Family(
        ("星期{day}的后面是星期几？", "星期{day}以后是星期几？", "星期{day}的第二天是星期几？"),
        one_of(tuple("一二三四五六"), "day"),
        lambda of: (
            f"星期{of['day']}的后面是星期{'一二三四五六日'['一二三四五六'.index(of['day']) + 1]}。"
        ),
        "zh",
    ),
}
