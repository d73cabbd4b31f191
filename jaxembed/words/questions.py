"""Analogy questions from the files they are published in: Google, MSR and BATS."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import permutations
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from ._spelling import Line, OnError, numbered_lines, spelt

Form = Literal["google", "bats", "msr"]
Question = tuple[str, str, str, str]

NEEDED = {
    "google": "four words, or a section ': name'",
    "msr": "five: a b c TAG d",
    "bats": "a word, a tab, and its partners with / between them",
}
MOST_PAIRS = 200
"""Pairs of a file of pairs beyond which some are drawn: their questions grow with the square. BATS has 50."""
HEADING = re.compile(r"[a-d]|(word|query|question|answer|target)\W?\w*", re.IGNORECASE)


@dataclass(frozen=True)
class Questions:
    """Questions a : b as c : d, by section.

    Attributes:
        name: of the file or folder.
        sections: questions by section, in the file's order; in the form "bats" the answer d may be several words with /
            between them, of which any is right.
        damaged: rows that were left out: line number and what is wrong, with the file's name where there are several.
        cased: whether words are as in the file; else they are in lower case.
        form: of the file.
        repeated: questions left out because an earlier one of their section is the same (lower case makes some equal).
        drawn: sections with too many pairs, of which some were drawn, in a sentence each.
    """

    name: str
    sections: dict[str, tuple[Question, ...]]
    damaged: tuple[tuple[int, str], ...] = ()
    cased: bool = False
    form: Form = "google"
    repeated: int = 0
    drawn: tuple[str, ...] = ()

    def __len__(self) -> int:
        return sum(map(len, self.sections.values()))

    def note(self) -> str:
        """What was read and what was left out, in a sentence."""
        out = [f"{len(self.damaged)} malformed rows" if self.damaged else "", f"{self.repeated} repeated questions"]
        left = " and ".join(part for part, count in zip(out, (len(self.damaged), self.repeated), strict=True) if count)
        first = f" (the first: line {self.damaged[0][0]}, {self.damaged[0][1]})" if self.damaged else ""
        read = f"{self.name}: {len(self):,} questions in {len(self.sections)} sections"
        return "; ".join([read, *self.drawn, *([f"left out: {left}{first}"] if left else [])])


@dataclass
class _Reader:
    """What is gathered while a file is read."""

    path: Path
    cased: bool
    on_error: OnError
    several: bool = False
    sections: dict[str, dict[Question, None]] = field(default_factory=dict)
    damaged: list[tuple[int, str]] = field(default_factory=list)
    repeated: int = 0
    drawn: list[str] = field(default_factory=list)

    def add(self, section: str, *words: str) -> None:
        a, b, c, d = (spelt(word, self.cased) for word in words)
        questions = self.sections.setdefault(section, {})
        self.repeated += (a, b, c, d) in questions
        questions[a, b, c, d] = None

    def refuse(self, line: int, why: str) -> None:
        if self.on_error == "stop":
            raise ValueError(f"{self.path}:{line}: {why}; mend the row, or skip malformed rows")
        self.damaged.append((line, f"{self.path.name}: {why}" if self.several else why))


def read_questions(
    path: str | Path, *, form: Literal["auto", "google", "bats", "msr"] = "auto", cased: bool = False, on_error: OnError
    = "skip",
) -> Questions:  # fmt: skip
    """Read analogy questions.

    Args:
        path: a file, or the folder of a BATS set (files of pairs, in folders or not).
        form: "google": sections ": name" and rows "a b c d", with blanks or commas; "msr": rows "a b c TAG d", the tag
            names the section, or two files NAME.questions and NAME.answers; "bats": a file of pairs "a<tab>b1/b2" is a
            section, whose questions are all ordered pairs of its pairs (a : b1 as c : d1/d2, any d right), of more than
            200 pairs those of 200 drawn with a fixed key; "auto": told from the file.
        cased: keep upper and lower case apart. Otherwise all is put in lower case, and questions that become equal
            within a section are asked once.
        on_error: "skip" malformed rows and list them, or "stop" at the first.

    Raises:
        ValueError: where the path does not exist, no row is a question, or at a malformed row if asked to stop.
    """
    path = Path(path).expanduser()
    if form != "auto" and form not in get_args(Form):
        raise ValueError(f"form: unknown {form!r}; choose auto, {', '.join(get_args(Form))}")
    files = _files(path)
    chosen: Form = ("bats" if path.is_dir() else told_form(_lines(path))) if form == "auto" else form
    reader = _Reader(path, cased, on_error, path.is_dir())
    for file in files:
        reader.path = file
        read = {"google": _google, "msr": _msr, "bats": _bats}[chosen]
        read(reader, (line for line in _readable(reader, _lines(file)) if line[1].strip()))
    sections = {name: tuple(section) for name, section in reader.sections.items()}
    if not any(sections.values()):
        bad = (
            f"; {len(reader.damaged)} malformed rows, the first: line {reader.damaged[0][0]}" if reader.damaged else ""
        )
        alone = path.suffix == ".questions" and not path.with_suffix(".answers").exists()
        beside = f"; put the answers beside it as {path.stem}.answers" if alone else ""
        raise ValueError(f"{path}: holds no question of the form {chosen} ({NEEDED[chosen]}){bad}{beside}")
    return Questions(path.stem, sections, tuple(reader.damaged), cased, chosen, reader.repeated, tuple(reader.drawn))


def only(questions: Questions, sections: Iterable[str]) -> Questions:
    """Some sections of the questions."""
    return replace(questions, sections={name: questions.sections[name] for name in sections})


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*.txt") if file.is_file())
        if files:
            return files
        raise ValueError(f"{path}: no .txt file in this folder; name the folder of the set's files of pairs")
    if not path.is_file():
        raise ValueError(f"{path}: does not exist; name a file of questions, or the folder of a BATS set")
    return [path]


def _lines(path: Path) -> list[Line]:
    """The rows of a file; of MSR's two files, the questions with their answers behind them."""
    rows, answers = list(numbered_lines(path)), path.with_suffix(".answers")
    if path.suffix != ".questions" or not answers.is_file():
        return rows
    asked, answered = ([row for row in found if row[1] != ""] for found in (rows, numbered_lines(answers)))
    if len(asked) != len(answered):
        raise ValueError(
            f"{answers}: has {len(answered)} rows, {path.name} has {len(asked)}; give two files of one set"
        )
    joined = zip(asked, answered, strict=True)
    return [(line, None if None in (one, other) else f"{one} {other}") for (line, one), (_, other) in joined]


def _words(text: str) -> list[str]:
    """The words of a row; those of a row with three commas or more stand between them."""
    if text.count(",") < 3:
        return text.split()
    return [word.strip() for word in next(csv.reader([text], skipinitialspace=True))]


def told_form(lines: list[Line]) -> Form:
    """The form of a file: sections are Google's; else that of most rows, in doubt Google's."""
    rows = [text for _, text in lines if text and text.strip()]
    if any(text.startswith(":") for text in rows):
        return "google"
    votes = Counter(_row_form(text) for text in rows)
    forms: tuple[Form, ...] = ("google", "msr", "bats")
    return max(forms, key=lambda form: votes[form])  # of equals, the first


def _row_form(text: str) -> Form | None:
    forms: dict[int, Form] = {4: "google", 5: "msr"}
    words = len(_words(text))
    return "bats" if "\t" in text and words == 2 else forms.get(words)


def _readable(reader: _Reader, lines: list[Line]) -> Iterator[tuple[int, str]]:
    for number, text in lines:
        if text is None:
            reader.refuse(number, "is not UTF-8")
        else:
            yield number, text


def _google(reader: _Reader, lines: Iterator[tuple[int, str]]) -> None:
    section = reader.path.stem
    for number, text in lines:
        words = _words(text)
        if number == 1 and "," in text and all(map(HEADING.fullmatch, words)):
            reader.damaged.append((number, "is a heading"))
        elif words[0].startswith(":"):
            section = " ".join(text.strip()[1:].split()) or reader.path.stem
            reader.sections.setdefault(section, {})
        elif len(words) == 4:
            reader.add(section, *words)
        else:
            reader.refuse(number, f"has {len(words)} words, needs {NEEDED['google']}")


def _msr(reader: _Reader, lines: Iterator[tuple[int, str]]) -> None:
    for number, text in lines:
        words = _words(text)
        if len(words) == 5:
            reader.add(words[3], *words[:3], words[4])
        else:
            reader.refuse(number, f"has {len(words)} words, needs {NEEDED['msr']}")


def _bats(reader: _Reader, lines: Iterator[tuple[int, str]]) -> None:
    pairs = []
    for number, text in lines:
        words = text.split()
        if len(words) == 2 and words[1].strip("/"):
            pairs.append((words[0], [word for word in words[1].split("/") if word]))
        else:
            reader.refuse(number, f"has {len(words)} words, needs {NEEDED['bats']}")
    if len(pairs) > MOST_PAIRS:
        reader.drawn.append(f"{reader.path.stem}: the questions of {MOST_PAIRS} of its {len(pairs):,} pairs, drawn")
        places = np.random.default_rng(0).choice(len(pairs), MOST_PAIRS, replace=False)
        pairs = [pairs[place] for place in np.sort(places)]
    for (a, partners), (c, answers) in permutations(pairs, 2):
        reader.add(reader.path.stem, a, partners[0], c, "/".join(answers))
