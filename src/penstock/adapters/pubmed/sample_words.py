"""Invented words for sample records: they name no real article, person, journal or place."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

_SUBJECTS = (
    *("otter-gut peptides", "a slow enzyme of river moss", "the second kidney of the paper crane"),
    *("lamp-lit neurons", "copper uptake in garden snails", "the tidal reflex", "wool-fat receptors"),
    *("a transporter of sleepy yeast", "inner-ear gravel", "feather keratin", "the fifth valve of the squid"),
)
_VERBS = ("raises", "lowers", "does not change", "predicts", "follows", "masks", "delays", "halves", "mimics")
_OBJECTS = (
    *("the resting glow of the pond liver", "bone age in tin soldiers", "whisker growth", "tear viscosity"),
    *("the clotting of maple blood", "appetite after thunder", "wing healing", "the pulse of clockwork mice"),
)
_SETTINGS = (
    *("in 40 volunteers of a lighthouse crew", "under red light", "in a bath of 5 mM salt & sugar"),
    *("over two winters", "at p < 0.05", "in vitro", "among left-handed weavers", "after a long voyage"),
)
_OPENERS = (
    "We asked whether",
    "It is often said that",
    "Here we show that",
    "Against our expectation,",
    "So,",
)
_SYLLABLES = ("ba", "dor", "el", "fen", "gri", "hol", "in", "jor", "ka", "lum", "mir", "no", "per", "qui")
_ENDINGS = ("berg", "dale", "ez", "ić", "ford", "sson", "ová", "well", "ström", "ara")
_MARKUP = ("Ca<sup>2+</sup>", "<i>Limax hortensis</i>", "CO<sub>2</sub>", "<b>all</b>", "<u>no</u>")
_MATH = (
    '<mml:math xmlns:mml="http://www.w3.org/1998/Math/MathML"><mml:msup><mml:mi>r</mml:mi>'
    "<mml:mn>2</mml:mn></mml:msup></mml:math>"
)


def pick(dice: Random, *choices: str) -> str:
    """Return one of ``choices``."""
    return choices[int(dice.random() * len(choices))]


def chance(dice: Random, probability: float) -> bool:
    """Return ``True`` with this probability."""
    return dice.random() < probability


def name(dice: Random) -> str:
    """Return a family name."""
    return (pick(dice, *_SYLLABLES) + pick(dice, *_SYLLABLES) + pick(dice, *_ENDINGS)).capitalize()


def sentence(dice: Random) -> str:
    """Return a sentence as XML, sometimes with markup or MathML."""
    parts = [pick(dice, *_OPENERS), pick(dice, *_SUBJECTS), pick(dice, *_VERBS), pick(dice, *_OBJECTS)]
    if chance(dice, 0.6):
        parts.append(pick(dice, *_SETTINGS).replace("&", "&amp;").replace("<", "&lt;"))
    if chance(dice, 0.1):
        parts.append(
            f"with {_MATH} = 0.{int(dice.random() * 90) + 10}" if chance(dice, 0.2) else _marked(dice)
        )
    return " ".join(parts) + "."


def _marked(dice: Random) -> str:
    return f"and {pick(dice, *_MARKUP)} as before"


def paragraph(dice: Random, sentences: int) -> str:
    """Return this many sentences."""
    return " ".join(sentence(dice) for _ in range(sentences))


def title(dice: Random) -> str:
    """Return a title as XML."""
    subject = pick(dice, *_SUBJECTS)
    marked = f" and {pick(dice, *_MARKUP)}" if chance(dice, 0.1) else ""
    ending = pick(dice, f"and {pick(dice, *_OBJECTS)}", "revisited", "in early life", "and what it is not")
    return f"{subject[0].upper()}{subject[1:]}{marked} {ending}."
