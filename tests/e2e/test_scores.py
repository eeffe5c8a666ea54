"""Scores: added from a file, seen as charts and tables by the instructor, and as one's own row by a student."""

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.people import Meet, tab
from tests.e2e.teaching import add_scores, scores_of


def test_a_wrong_line_is_named_and_the_others_count(meet: Meet) -> None:
    course = meet().in_frame("Instructor")
    panel = tab(course, "Performance")
    expect(panel.get_by_text("No scores yet")).to_be_visible()
    content = scores_of(range(1, 13))
    lines = content.splitlines()
    lines.insert(3, "student-3,Exercise 1,many,20,2026-10-02")
    said = add_scores(course, "\n".join(lines))
    assert "48 lines saved." in said
    assert "1 line not saved:" in said
    assert re.search(r"Line 4: .*score", said), said
    again = add_scores(course, content)
    assert "0 lines saved." in again
    assert "48 were known already." in again


def test_the_instructor_sees_figures_a_chart_and_the_same_as_a_table(meet: Meet) -> None:
    panel = tab(meet().in_frame("Instructor"), "Performance")
    figures = panel.get_by_role("definition")
    expect(figures.first).to_have_text(re.compile(r"^12( of \d+)?$"))
    distribution = panel.get_by_role("region", name="Distribution")
    chart = distribution.get_by_role("img")
    expect(chart).to_have_accessible_name(re.compile(r"Most students, \d+ of 12, .* The median is \d+%\."))
    distribution.get_by_role("button", name="Table").click()
    expect(chart).to_be_hidden()
    counts = distribution.get_by_role("row").locator("td").last
    expect(counts).to_be_visible()
    shown = [int(text) for text in distribution.locator("tbody td:last-child").all_inner_texts() if text.isdigit()]
    assert sum(shown) == 12
    distribution.get_by_role("button", name="Chart").click()
    expect(chart).to_be_visible()
    rows = panel.get_by_role("region", name="Students").get_by_role("row")
    expect(rows.nth(1)).to_contain_text("At risk")
    panel.get_by_role("button", name=re.compile(r"^Show the \d")).click()
    expect(rows.filter(has_text="On track")).to_have_count(0)


def test_a_student_sees_the_own_row_and_the_curve_of_a_course_that_is_large_enough(meet: Meet) -> None:
    panel = tab(meet().in_frame("Student 4"), "Performance")
    expect(panel.get_by_text("The course curve shows because 5 or more others are in it.")).to_be_visible()
    expect(panel.get_by_role("region", name="Where you stand").get_by_role("img")).to_have_accessible_name(
        re.compile(r"You are at 60%\.")
    )
    exercises = panel.get_by_role("region", name="Your exercises")
    exercises.get_by_role("button", name="Table").click()
    expect(exercises.get_by_role("row").nth(1)).to_contain_text("60%")
    expect(panel).not_to_contain_text(re.compile(r"student-|Student [0-9]"))


@pytest.mark.parametrize(("others", "shown"), [(4, False), (5, True)])
def test_the_curve_needs_five_others(meet: Meet, others: int, shown: bool) -> None:  # noqa: FBT001 - a case
    teacher = meet().in_frame("Instructor", "Empty course")
    tab(teacher, "Performance")
    numbers = range(4, 4 + others + 1)
    assert "saved" in add_scores(teacher, scores_of(numbers))
    panel = tab(meet().in_frame("Student 4", "Empty course"), "Performance")
    expect(panel.get_by_role("region", name="Your exercises")).to_be_visible()
    expect(panel.get_by_role("region", name="Where you stand")).to_have_count(1 if shown else 0)
    word = "because" if shown else "when"
    expect(panel.get_by_text(f"The course curve shows {word} 5 or more others are in it.")).to_be_visible()
