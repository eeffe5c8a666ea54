"""The way out reaches an LMS, and never a machine of the house."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from atomic_guide.course.lti.addresses import Reach, origin_of, problem_with, with_query
from atomic_guide.course.lti.outbound import Outbound, OutboundFailed
from tests.fakes.platform import FakePlatform, fake_platform, serving

PRIVATE = [
    "127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.1",
    "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1",
    "ff02::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_out_of_reach(address: str) -> None:
    assert not Reach().allows(ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"])
def test_public_addresses_are_in_reach(address: str) -> None:
    assert Reach().allows(ip_address(address))


def test_the_own_network_is_in_reach_when_it_is_named() -> None:
    reach = Reach(networks=("10.20.0.0/16",))
    assert reach.allows(ip_address("10.20.1.1"))
    assert reach.allows(ip_address("::ffff:10.20.1.1"))
    assert not reach.allows(ip_address("10.21.1.1"))
    assert not reach.allows(ip_address("127.0.0.1"))


@pytest.mark.parametrize(
    "url",
    ["", "lms.example.edu", "ftp://lms.example.edu", "https://", "https://user@lms.example.edu/", "https://a b/",
     "https://lms.example.edu/#x", "http://lms.example.edu/", "https://10.0.0.1/", "https://[::1]/", "https://x:99999/",
     "https://lms.example.edu;script-src/"],
)  # fmt: skip
def test_an_address_that_cannot_be_used_says_why(url: str) -> None:
    assert problem_with(url, Reach())


def test_development_takes_plain_http_on_this_computer_only() -> None:
    assert problem_with("http://localhost:8000/jwks", Reach(loopback=True)) is None
    assert problem_with("http://127.0.0.1:8000/jwks", Reach(loopback=True)) is None
    assert problem_with("http://lms.example.edu/jwks", Reach(loopback=True))


def test_an_origin_has_no_default_port() -> None:
    assert origin_of("https://LMS.example.edu:443/a?b") == "https://lms.example.edu"
    assert origin_of("http://[::1]:8000/") == "http://[::1]:8000"
    assert with_query("https://x/a?b=1", [("c", "d e")]) == "https://x/a?b=1&c=d+e"


async def resolves_to(*addresses: str) -> Outbound:
    async def resolver(_host: str, _port: int) -> list[str]:
        return list(addresses)

    return Outbound(Reach(loopback=True), 2.0, 1000, resolver)


async def test_a_name_that_leads_into_the_house_is_not_called() -> None:
    outbound = await resolves_to("93.184.216.34", "10.0.0.7")
    with pytest.raises(OutboundFailed, match="private network"):
        await outbound.get("https://lms.example.edu/jwks")
    await outbound.close()


async def test_a_name_without_address_says_so() -> None:
    outbound = await resolves_to()
    with pytest.raises(OutboundFailed, match="no address"):
        await outbound.get("https://lms.example.edu/jwks")
    await outbound.close()


async def test_the_connection_goes_to_the_checked_address_under_the_name() -> None:
    async with fake_platform() as platform:
        port = platform.url.rpartition(":")[2]
        # ::1 is tried first; the platform does not listen there.
        outbound = await resolves_to("::1", "127.0.0.1")
        reply = await outbound.get(f"http://localhost:{port}/jwks")
        assert reply.status == 200
        await outbound.close()


async def test_redirects_stay_on_the_host() -> None:
    async with fake_platform() as platform:
        outbound = await resolves_to("127.0.0.1")
        here = await outbound.get(f"{platform.url}/redirect?to=/jwks")
        assert here.url == f"{platform.url}/jwks"
        with pytest.raises(OutboundFailed, match="another host"):
            await outbound.get(f"{platform.url}/redirect?to=http://localhost:1/jwks")
        with pytest.raises(OutboundFailed, match="in circles"):
            await outbound.get(f"{platform.url}/redirect?to=?to=?to=?to=")
        await outbound.close()


async def test_an_answer_that_is_too_large_is_broken_off() -> None:
    async def endless(_scope: object, _receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b"x" * 5000})  # type: ignore[operator]

    async with serving(endless) as url:
        outbound = await resolves_to("127.0.0.1")
        with pytest.raises(OutboundFailed, match="more than 1000 bytes"):
            await outbound.get(url)
        await outbound.close()


async def test_a_closed_port_says_so() -> None:
    platform = FakePlatform()
    async with serving(platform.app()) as url:
        pass
    outbound = await resolves_to("127.0.0.1")
    with pytest.raises(OutboundFailed, match="cannot be reached"):
        await outbound.get(f"{url}/jwks")
    await outbound.close()
