"""Who and what the practice LMS has: two courses, an instructor, students."""

from __future__ import annotations

import msgspec

MEMBERSHIP = "http://purl.imsglobal.org/vocab/lis/v2/membership"


class Person(msgspec.Struct, frozen=True):
    """Somebody who can launch. `does` is what the page says of them."""

    id: str
    name: str
    role: str
    does: str = ""


class PracticeCourse(msgspec.Struct, frozen=True):
    """A course of the practice LMS."""

    id: str
    title: str
    holds: str
    students: int


INSTRUCTOR = Person("instructor", "Instructor", f"{MEMBERSHIP}#Instructor", "uploads, moderates, sees all scores")

COURSES = {
    course.id: course
    for course in (
        PracticeCourse("waves", "Waves and Optics 101", "42 on its roster; lectures and chat are yours to add", 42),
        PracticeCourse("empty", "Empty course", "12 on its roster: leave it as it is to see a first day", 12),
    )
}


def students(course: PracticeCourse) -> list[Person]:
    """The students of a course: Student 1, Student 2 and so on."""
    return [
        Person(f"student-{number}", f"Student {number}", f"{MEMBERSHIP}#Learner")
        for number in range(1, course.students + 1)
    ]


OFFERED = (
    INSTRUCTOR,
    Person("student-4", "Student 4", f"{MEMBERSHIP}#Learner", "watches, writes, sees own scores"),
    Person("student-7", "Student 7", f"{MEMBERSHIP}#Learner", "open beside Student 4 to see live chat"),
)
"""Whom the page offers to be."""


def members(course: PracticeCourse) -> dict[str, Person]:
    """Everybody in a course, by id."""
    return {person.id: person for person in (INSTRUCTOR, *students(course))}
