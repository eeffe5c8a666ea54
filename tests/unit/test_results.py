"""The page of benchmarks: what runs again is replaced, the rest stays."""

from tools.results import parts, read_page, told, write_page


def test_what_runs_again_is_replaced_and_the_rest_stays() -> None:
    first = {"rooms one": told("1.2 times\n", 0, "a day"), "queues through": told("MISSED\n", 1, "a day")}
    page = write_page(first)
    assert read_page(page) == first
    assert page.index("## queues through") < page.index("## rooms one")
    assert "Ended with 1." in read_page(page)["queues through"]
    again = read_page(write_page({**read_page(page), "rooms one": told("1.3 times", 0, "a later day")}))
    assert "1.3 times" in again["rooms one"]
    assert again["queues through"] == first["queues through"]


def test_every_benchmark_is_found_by_its_sections() -> None:
    names = {part.name for part in parts()}
    assert {"rooms one", "queues through", "data move", "cache hit", "launch", "scaling"} <= names
    assert not {"rooms", "scaling floor"} & names
