"""Aide-memoires: short checklists for kinds of tasks and goods, kept on the device."""

from datetime import date

from mobile_contract.fields import Out


class Texts(Out):
    """A text in both languages."""

    en: str
    lt: str


class AideMemoire(Out):
    """A checklist for tasks of some kinds or for goods of some categories; `version` grows with each change."""

    code: str
    version: int
    issued_on: date
    task_kinds: list[str]
    goods_categories: list[str]
    title: Texts
    warning: Texts | None
    steps: list[Texts]


class AideMemoires(Out):
    """All of them; `version` changes with any of them."""

    version: str
    items: list[AideMemoire]
