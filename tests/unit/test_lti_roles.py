"""Who teaches, by the roles of a launch (LTI 1.3, appendix A.2)."""

import pytest

from atomic_guide.course.lti.claims import role_of

MEMBERSHIP = "http://purl.imsglobal.org/vocab/lis/v2/membership"


@pytest.mark.parametrize(
    "role",
    [
        f"{MEMBERSHIP}#Instructor",
        f"{MEMBERSHIP}/Instructor#PrimaryInstructor",
        f"{MEMBERSHIP}/Instructor#TeachingAssistant",
        "urn:lti:role:ims/lis/Instructor/GuestInstructor",
        "Instructor",
    ],
)
def test_a_role_that_teaches_the_course(role: str) -> None:
    assert role_of([role]) == "instructor"
    assert role_of([f"{MEMBERSHIP}#Learner", role]) == "instructor"


@pytest.mark.parametrize(
    "role",
    [
        f"{MEMBERSHIP}#Learner",
        f"{MEMBERSHIP}/Learner#Instructor",
        f"{MEMBERSHIP}/Learner#GuestLearner",
        "urn:lti:role:ims/lis/Learner/Instructor",
        "http://purl.imsglobal.org/vocab/lis/v2/institution/person#Instructor",
        "Dancer",
        "",
    ],
)
def test_a_role_that_does_not(role: str) -> None:
    assert role_of([role]) == "learner"
