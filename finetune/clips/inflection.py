"""English verbs and nouns in the forms that sentences need: goes, went, gone, going; boxes."""

IRREGULAR = {
    verb: (past, participle)
    for verb, past, participle in (
        line.split()
        for line in """
        go went gone|get got gotten|take took taken|make made made|see saw seen|come came come
        eat ate eaten|drink drank drunk|read read read|write wrote written|drive drove driven
        buy bought bought|bring brought brought|teach taught taught|catch caught caught
        think thought thought|fight fought fought|find found found|lose lost lost|sell sold sold
        tell told told|hold held held|stand stood stood|understand understood understood
        leave left left|feel felt felt|keep kept kept|sleep slept slept|sweep swept swept
        send sent sent|lend lent lent|spend spent spent|build built built|hear heard heard
        meet met met|feed fed fed|lead led led|sit sat sat|win won won|run ran run|swim swam swum
        sing sang sung|ring rang rung|begin began begun|fly flew flown|grow grew grown
        throw threw thrown|draw drew drawn|know knew known|blow blew blown|give gave given
        forgive forgave forgiven|forget forgot forgotten|choose chose chosen|wake woke woken
        break broke broken|speak spoke spoken|steal stole stolen|freeze froze frozen
        wear wore worn|bite bit bitten|hide hid hidden|ride rode ridden|fall fell fallen
        lie lay lain|hang hung hung|dig dug dug|shoot shot shot|shut shut shut|cut cut cut
        set set set|put put put|hit hit hit|hurt hurt hurt|beat beat beaten|pay paid paid
        say said said|shake shook shaken|light lit lit|stick stuck stuck|swear swore sworn
        dive dived dived|quit quit quit|mistake mistook mistaken|have had had
        do did done|withdraw withdrew withdrawn|overcome overcame overcome|seek sought sought
        mean meant meant|spread spread spread|split split split|knit knit knit|swing swung swung
        mislead misled misled|undergo underwent undergone|become became become|flee fled fled
        bind bound bound|deal dealt dealt
        """.replace("|", "\n").splitlines()
        if line.strip()
    )
}
PLURALS = {
    **{"man": "men", "woman": "women", "child": "children", "person": "people", "foot": "feet"},
    **{"tooth": "teeth", "mouse": "mice", "goose": "geese", "sheep": "sheep", "fish": "fish"},
    **{"deer": "deer", "wolf": "wolves", "leaf": "leaves", "knife": "knives", "shelf": "shelves"},
    **{"thief": "thieves", "police officer": "police officers", "fisherman": "fishermen"},
}
VOWELS = "aeiou"
DOUBLED = {
    *("stop", "plan", "drop", "rob", "hug", "nod", "jog", "skip", "ship", "wrap", "beg", "chat"),
    *("grab", "hop", "shop", "step", "spot", "admit", "prefer", "begin", "forget", "run", "swim"),
    *("sit", "win", "get", "cut", "dig", "set", "put", "hit", "shut", "quit", "commit", "refer"),
    *("submit", "permit", "transmit", "regret", "drag", "split", "knit", "trap"),
}


def plural(noun: str) -> str:
    """The plural of a noun, or of the last word of several."""
    if noun in PLURALS:
        return PLURALS[noun]
    *before, last = noun.split()
    if last in PLURALS:
        return " ".join([*before, PLURALS[last]])
    if last.endswith(("man",)) and last != "human" and last != "german":
        return noun[:-2] + "en"
    return " ".join([*before, with_s(last)])


def with_s(word: str) -> str:
    if word.endswith("y") and word[-2] not in VOWELS:
        return word[:-1] + "ies"
    if word.endswith(("s", "x", "z", "ch", "sh")) or word in (
        "potato",
        "tomato",
        "go",
        "do",
        "hero",
    ):
        return word + "es"
    return word + "s"


def with_ed(verb: str) -> str:
    if verb.endswith("e"):
        return verb + "d"
    if verb.endswith("y") and verb[-2] not in VOWELS:
        return verb[:-1] + "ied"
    return (verb + verb[-1] if verb in DOUBLED else verb) + "ed"


def with_ing(verb: str) -> str:
    if verb == "lie":
        return "lying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")):
        return verb[:-1] + "ing"
    return (verb + verb[-1] if verb in DOUBLED else verb) + "ing"


def inflected(phrase: str, form: str) -> str:
    """A verb phrase with its first word in a form: "s", "ed", "en" or "ing"."""
    verb, *rest = phrase.split(" ", 1)
    past, participle = IRREGULAR.get(verb) or (with_ed(verb), with_ed(verb))
    forms = {"s": with_s(verb), "ed": past, "en": participle, "ing": with_ing(verb)}
    return " ".join([forms[form], *rest])
