"""Makes every clip that the preview checkpoint is trained and tested on.

Speech comes from free synthesizers, sounds and beeps from numpy; each clip is written with all
that is known of it. This package knows nothing of models, features or conversations: what is
asked about a clip, and how it is answered, is the business of the rest of `finetune`.

    python -m finetune.clips --output DIR --seed 1     makes the library (and goes on after a stop)
    python -m finetune.clips.examples                  makes the example clips of the page

    library.py       a folder of clips: its index and its samples
    production.py    makes shards in parallel, and goes on
    plan.py          what each shard holds: kinds, voices, texts, all drawn from one seed
    sentences.py     everyday English from templates.txt and slots.txt
    questions.py     spoken questions with their answers, from questions.txt and families.py
    speakers.py      who speaks: voices, their split and gender
    synthesizers.py  text to speech; utterance.py: what is asked of it; loaded.py: voices that
                     speak in this process (piper, pico, RHVoice); accents.py, vocoder.py: what
                     makes further voices of one; foreign.py: festival's Italian, Finnish and
                     Czech speakers, made to speak English
    sounds.py        which sounds there are; nature.py, things.py, tones.py: how they are made
    augment.py       rooms, noise, telephone, level
    human.py         recordings of people in Debian's packages, for testing only
    sources.py       voices, recordings and their licences
    examples.py      the example clips
"""
