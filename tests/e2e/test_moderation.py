"""Moderation between browsers: what instructors do, what everybody sees of it, with a mouse and with keys alone."""

import re

from playwright.sync_api import Frame, Locator, Page, expect

from tests.e2e.people import LIMIT, Meet, live, messages, say

CLOSED = re.compile("The room is closed")


def box(course: Frame | Page) -> Locator:
    """Where one writes."""
    return course.get_by_role("textbox", name="Message the room")


def manage(course: Frame | Page, button: str) -> None:
    """Open the dialog of the room, press a button in it and close it again."""
    course.get_by_role("button", name="Manage the room").click()
    dialog = course.get_by_role("dialog", name="Manage the room")
    dialog.get_by_role("button", name=button).click()
    expect(dialog.get_by_role("button", name=button, exact=True)).to_have_count(0)
    dialog.press("Escape")
    expect(dialog).to_have_count(0)


def act(course: Frame | Page, text: str, button: str) -> None:
    """Open the actions of the message that says something, and take one."""
    messages(course).filter(has_text=text).get_by_role("button", name=re.compile("^Actions for")).click()
    dialog = course.get_by_role("dialog")
    expect(dialog).to_contain_text(text)
    dialog.get_by_role("button", name=button).click()
    expect(dialog).to_have_count(0)


def test_a_deleted_message_is_gone_for_everybody_and_stays_so(meet: Meet) -> None:
    teacher, student = meet().in_frame("Instructor"), meet().in_window("Student 4")
    expect(live(teacher)).to_be_visible()
    expect(live(student)).to_be_visible()
    say(student, "an insult to delete")
    expect(messages(teacher).filter(has_text="an insult to delete")).to_be_visible()
    act(teacher, "an insult to delete", "Delete the message of Student 4")
    for course in (teacher, student):
        expect(course.get_by_text("an insult to delete")).to_have_count(0)
        expect(messages(course).last).to_contain_text("This message was removed.")
    student.reload()
    expect(live(student)).to_be_visible(timeout=LIMIT)
    expect(messages(student).last).to_contain_text("This message was removed.")
    expect(student.get_by_text("an insult to delete")).to_have_count(0)


def test_a_student_deletes_their_own_and_has_no_button_for_others(meet: Meet) -> None:
    teacher, student = meet().in_frame("Instructor"), meet().in_frame("Student 7")
    expect(live(teacher)).to_be_visible()
    expect(live(student)).to_be_visible()
    say(teacher, "what everybody should know")
    say(student, "a slip of the pen")
    mine = messages(student).filter(has_text="a slip of the pen")
    expect(mine.get_by_role("button", name="Actions for your message")).to_be_visible()
    others = messages(student).filter(has_text="what everybody should know")
    expect(others).to_be_visible()
    expect(others.get_by_role("button", name=re.compile("^Actions"))).to_have_count(0)
    expect(student.get_by_role("button", name="Manage the room")).to_have_count(0)
    act(student, "a slip of the pen", "Delete your message")
    expect(teacher.get_by_text("a slip of the pen")).to_have_count(0)


def test_a_muted_student_reads_why_and_may_write_again_later(meet: Meet) -> None:
    person = meet()
    teacher, student = meet().in_frame("Instructor"), person.in_frame("Student 4")
    expect(live(teacher)).to_be_visible()
    expect(live(student)).to_be_visible()
    say(student, "too much of this")
    act(teacher, "too much of this", "Mute Student 4")
    expect(box(student)).to_be_disabled()
    expect(student.get_by_text(re.compile(r"An instructor has muted you until .+\. You can read\."))).to_be_visible()
    teacher.get_by_role("button", name="People").click()
    people = teacher.get_by_role("dialog", name="People in the room")
    expect(people.get_by_role("listitem").filter(has_text="Student 4")).to_contain_text("muted")
    people.get_by_role("button", name="Unmute Student 4…").click()
    teacher.get_by_role("dialog", name="Student 4").get_by_role("button", name="Let Student 4 write").click()
    expect(box(student)).to_be_enabled()
    say(student, "thank you")
    expect(messages(teacher).filter(has_text="thank you")).to_be_visible()


def test_a_closed_room_is_read_by_all_and_written_by_instructors(meet: Meet) -> None:
    teacher, student = meet().in_frame("Instructor"), meet().in_window("Student 4")
    expect(live(teacher)).to_be_visible()
    expect(live(student)).to_be_visible()
    manage(teacher, "Close the room")
    expect(box(student)).to_be_disabled()
    expect(student.get_by_text(CLOSED).first).to_be_visible()
    expect(box(teacher)).to_be_enabled()
    say(teacher, "we go on tomorrow")
    expect(messages(student).filter(has_text="we go on tomorrow")).to_be_visible()
    student.reload()
    expect(live(student)).to_be_visible(timeout=LIMIT)
    expect(box(student)).to_be_disabled()
    manage(teacher, "Open the room")
    expect(box(student)).to_be_enabled()
    expect(student.get_by_text(CLOSED)).to_have_count(0)


def test_a_live_session_is_seen_by_who_is_there_and_who_comes(meet: Meet) -> None:
    teacher, student = meet().in_frame("Instructor"), meet().in_frame("Student 4")
    expect(live(teacher)).to_be_visible()
    expect(live(student)).to_be_visible()
    manage(teacher, "Start a live session")
    shown = re.compile(r"Live session since \d\d:\d\d, begun by Instructor\.")
    expect(student.get_by_text(shown)).to_be_visible()
    late = meet().in_frame("Student 7")
    expect(late.get_by_text(shown)).to_be_visible(timeout=LIMIT)
    manage(teacher, "End the live session")
    for course in (student, late):
        expect(course.get_by_text(shown)).to_have_count(0)


def test_keys_alone_delete_a_message(meet: Meet) -> None:
    teacher, student = meet().in_window("Instructor"), meet().in_frame("Student 4")
    expect(live(teacher)).to_be_visible()
    expect(live(student)).to_be_visible()
    for text in ("the first of two", "the second of two"):
        say(student, text)
        expect(messages(teacher).filter(has_text=text)).to_be_visible()
    teacher.get_by_role("log").focus()
    teacher.keyboard.press("Tab")
    second = messages(teacher).filter(has_text="the second of two").get_by_role("button", name=re.compile("^Actions"))
    first = messages(teacher).filter(has_text="the first of two").get_by_role("button", name=re.compile("^Actions"))
    expect(second).to_be_focused()
    teacher.keyboard.press("ArrowUp")
    expect(first).to_be_focused()
    # One stop for all messages: the next one is behind them.
    teacher.keyboard.press("Tab")
    expect(box(teacher)).to_be_focused()
    teacher.keyboard.press("Shift+Tab")
    expect(first).to_be_focused()
    teacher.keyboard.press("Enter")
    expect(teacher.get_by_role("dialog", name="Message of Student 4")).to_be_visible()
    teacher.keyboard.press("Escape")
    expect(teacher.get_by_role("dialog")).to_have_count(0)
    expect(first).to_be_focused()
    teacher.keyboard.press("Enter")
    delete = teacher.get_by_role("dialog").get_by_role("button", name="Delete the message of Student 4")
    delete.focus()
    teacher.keyboard.press("Enter")
    expect(student.get_by_text("the first of two")).to_have_count(0)
    expect(messages(student).filter(has_text="the second of two")).to_be_visible()
