"""The sentences of e-mails, in the languages of the course page."""

from __future__ import annotations

from typing import Literal, NamedTuple

Language = Literal["en", "ar"]


class Texts(NamedTuple):
    """One language. `{title}`, `{reason}`, `{activity}` and `{course}` are values."""

    direction: Literal["ltr", "rtl"]
    ready: tuple[str, str]
    no_captions: str
    failed: tuple[str, str]
    scores: tuple[str, str]
    scores_of: tuple[str, str]
    open: str
    find: str
    why: str
    stop: str
    stop_title: str
    stop_text: str
    stop_verb: str
    stopped_title: str
    stopped_text: str


TEXTS: dict[Language, Texts] = {
    "en": Texts(
        direction="ltr",
        ready=("“{title}” is ready", "Students of {course} can watch “{title}” in every quality."),
        no_captions="It has no captions yet. Who cannot hear the lecture cannot follow it: add them in Upload.",
        failed=("“{title}” could not be prepared", "“{title}” could not be prepared: {reason}"),
        scores=("New scores in {course}", "There are new scores for you in {course}."),
        scores_of=("Your score in {activity}", "There is a score for you in {activity}, in {course}."),
        open="Open the course in your LMS:",
        find="Open the course in your LMS to see more.",
        why="You get this e-mail because you are in the course {course}.",
        stop="To get no more of them:",
        stop_title="End e-mail about this course",
        stop_text="What you are told stays in the course, behind the bell. You can switch e-mail on again there.",
        stop_verb="End e-mail",
        stopped_title="No more e-mail about this course",
        stopped_text="You can switch it on again in the course, under “Language, theme”.",
    ),
    "ar": Texts(
        direction="rtl",
        ready=("«{title}» جاهزة", "يمكن لطلاب {course} مشاهدة «{title}» بكل الجودات."),
        no_captions="لا ترجمة نصية لها بعد، ومن لا يسمع المحاضرة لا يستطيع متابعتها: أضفها في قسم الرفع.",
        failed=("تعذّر تجهيز «{title}»", "تعذّر تجهيز «{title}»: {reason}"),
        scores=("درجات جديدة في {course}", "لك درجات جديدة في {course}."),
        scores_of=("درجتك في {activity}", "لك درجة في {activity} ضمن {course}."),
        open="افتح المقرر في نظام إدارة التعلّم:",
        find="افتح المقرر في نظام إدارة التعلّم لترى المزيد.",
        why="تصلك هذه الرسالة لأنك في المقرر {course}.",
        stop="لإيقاف هذه الرسائل:",
        stop_title="إيقاف رسائل هذا المقرر",
        stop_text="تبقى الإشعارات في المقرر خلف الجرس، ويمكنك تشغيل الرسائل هناك من جديد.",
        stop_verb="إيقاف الرسائل",
        stopped_title="لن تصلك رسائل عن هذا المقرر",
        stopped_text="يمكنك تشغيلها من جديد داخل المقرر، من «اللغة والمظهر».",
    ),
}


def language_of(chosen: str, locale: str) -> Language:
    """The language chosen in the page, else the LMS's, else English."""
    wanted = (chosen or locale).partition("-")[0].lower()
    return "ar" if wanted == "ar" else "en"
