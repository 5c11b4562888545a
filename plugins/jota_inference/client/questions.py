"""Questions without an answer yet. There are no request ids: an answer finds its own by operation and age."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .errors import LOST, Frame, ops_of, text_of


@dataclass(eq=False, frozen=True, slots=True)
class Question:
    """One operation under way; `tell` takes its answer, its error or `LOST`, or says that it is not its."""

    op: str
    session_id: str | None
    tell: Callable[[Frame], bool]


class Questions:
    """All questions of one connection, oldest first."""

    def __init__(self) -> None:
        self._open: dict[Question, None] = {}

    def add(self, op: str, session_id: str | None, tell: Callable[[Frame], bool]) -> Question:
        """A new question; `forget` it when nobody waits any more."""
        question = Question(op, session_id, tell)
        self._open[question] = None
        return question

    def forget(self, question: Question) -> None:
        """It is answered, or nobody waits for it."""
        self._open.pop(question, None)

    def answer(self, op: str, frame: Frame) -> bool:
        """Give a frame to the oldest question of this operation (and session); False when there is none."""
        session_id = frame.get("session_id")
        for question in self._open:
            if question.op == op and (session_id is None or question.session_id in (None, session_id)):
                return self._tell(question, frame)
        return False

    def blame(self, frame: Frame) -> bool:
        """Give an error to the oldest question (of its session, if it names one) that may have brought it."""
        ops, session_id = ops_of(text_of(frame)), frame.get("session_id")
        for question in self._open:
            if (
                question.op in ops
                and session_id in (None, question.session_id)
                and self._tell(question, frame)
            ):
                return True
        return False

    def lose(self) -> None:
        """No answer can come any more."""
        for question in list(self._open):
            self._tell(question, LOST)

    def _tell(self, question: Question, frame: Frame) -> bool:
        mine = question.tell(frame)
        if mine:
            self.forget(question)
        return mine
