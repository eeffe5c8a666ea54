"""What a region is, and what is refused of it at start."""

from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from atomic_guide.app.region import made_here
from atomic_guide.config import load_settings
from atomic_guide.errors import ConfigurationError, WrongRegion
from atomic_guide.regions.here import Here
from atomic_guide.web.crossing import check_region

TOML = """
[[assets.stores]]
name = "objects-eu"
region = "eu-central"
zone = "eu"
directory = "/srv/objects"

[databases]
region = "eu-central"
directory = "postgresql://db-1/directory"

[[databases.servers]]
name = "shard-eu"
url = "postgresql://db-1/eu"
zone = "eu"
replicas = [{ url = "postgresql://db-2/eu", region = "eu-north" }]

[[databases.servers]]
name = "shard-us"
url = "postgresql://db-3/us"
zone = "us"

[[regions.declared]]
name = "eu-central"
coordinates = [50.1, 8.7]
countries = ["DE", "AT"]
zones = ["eu"]
primary = ["shard-eu"]
store = "objects-eu"
cacheNodes = ["nats://cache-1:4222"]
address = "https://eu-central.guide.example.edu"

[[regions.declared]]
name = "eu-north"
coordinates = [59.3, 18.1]
countries = ["SE"]
zones = ["eu"]
replicas = ["shard-eu"]
roles = ["web", "analytics"]
address = "https://eu-north.guide.example.edu"

[[regions.declared]]
name = "us-east"
coordinates = [39.0, -77.5]
zones = ["us"]
primary = ["shard-us"]
address = "https://us-east.guide.example.edu"
"""


def _loaded(tmp_path: Path, text: str = TOML) -> Any:
    file = tmp_path / "guide.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings({}, file)


def test_regions_are_read_as_they_are_declared(tmp_path: Path) -> None:
    settings = _loaded(tmp_path)
    first, second, third = settings.regions.declared
    assert (first.name, first.point.latitude, first.countries, first.store) == (
        "eu-central", 50.1, ("DE", "AT"), "objects-eu",
    )  # fmt: skip
    assert first.cache_nodes == ("nats://cache-1:4222",)
    assert second.roles == ("web", "analytics")
    assert third.zones == ("us",)
    assert settings.regions.fallback == first
    # A shard's primary stands where a region says so.
    assert [server.region for server in settings.databases.servers] == ["eu-central", "us-east"]


def test_an_installation_without_regions_needs_none() -> None:
    settings = load_settings({})
    assert settings.regions.declared == ()
    assert settings.regions.fallback is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('countries = ["SE"]', 'countries = ["XX"]', "eu-north names the country XX; write ISO 3166 codes"),
        ('countries = ["SE"]', 'countries = ["se"]', "eu-north names the country se"),
        ('countries = ["SE"]', 'countries = ["AT", "SE"]', "AT is a country of two regions"),
        ("coordinates = [59.3, 18.1]", "", "eu-north has no coordinates; give `coordinates"),
        ("[59.3, 18.1]", "[159.3, 18.1]", "eu-north lies at 159.3, 18.1; the latitude is from -90 to 90"),
        ("[59.3, 18.1]", "[nan, 18.1]", "eu-north lies at nan, 18.1"),
        ('name = "eu-north"', 'name = "eu-central"', "eu-central stands twice"),
        ('region = "eu-central"\ndirectory', 'region = "eu-west"\ndirectory', "databases.region: eu-west is not"),
        ('zones = ["us"]\nprimary = ["shard-us"]', 'zones = ["eu", "us"]\nprimary = ["shard-us", "shard-eu"]',
         "shard-eu has its primary in two regions"),
        ('primary = ["shard-us"]', 'primary = ["shard-us", "shard-eu"]',
         "shard-eu has its primary in two regions"),
        ('primary = ["shard-us"]', 'primary = ["shard-asia"]', "us-east names the shard shard-asia"),
        ('zones = ["us"]', 'zones = ["us"]\nreplicas = ["shard-eu"]', "a replica of shard-eu, whose zone eu may not"),
        ('replicas = ["shard-eu"]', 'replicas = ["shard-us"]', "a replica of shard-us, whose zone us may not"),
        ('region = "eu-north" }]', 'region = "us-east" }]', "databases.servers has none there"),
        ('zone = "us"\n', 'zone = "us"\nregion = "eu-north"\n', "which databases.servers has in eu-north"),
        ('zones = ["us"]\nprimary = ["shard-us"]', 'zones = ["asia"]', "no region may keep zone us, which has shards"),
        ('zones = ["us"]\n', 'zones = ["us"]\nroles = ["web", "media"]\n',
         "no region of zone us has the role analytics; add it to one of us-east"),
        ('zones = ["us"]\n', 'zones = ["us"]\nroles = []\n', "us-east has no roles"),
        ('address = "https://us-east.guide.example.edu"', "", "us-east has no address"),
        ("https://us-east.", "https://eu-north.", "is the address of two regions"),
        ('store = "objects-eu"', 'store = "objects-us"', "the store objects-us; assets.stores declares objects-eu"),
        ('zone = "eu"\ndirectory', 'zone = "us"\ndirectory', "assets.stores has in region eu-central and zone us"),
        ('region = "eu-central"\nzone', 'region = "us-east"\nzone', "has in region us-east and zone eu"),
        ('cacheNodes = ["nats://cache-1:4222"]', 'cacheNodes = ["cache-1"]', "matching regex"),
        ('roles = ["web", "analytics"]', "", "eu-central and eu-north both have the role media in zone eu"),
        ('roles = ["web", "analytics"]', 'roles = ["video"]', "Invalid enum value 'video'"),
        ("[databases]\n", '[regions]\ndefault = "eu-west"\n[databases]\n', "regions.default: eu-west is not declared"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_name(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in TOML
    with pytest.raises(ConfigurationError) as refused:
        _loaded(tmp_path, TOML.replace(old, new, 1))
    assert said in refused.value.message


def test_a_default_without_regions_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"declare it in regions\.declared"):
        load_settings({"ATOMIC_GUIDE_REGIONS_DEFAULT": "eu"})


BUCKET = """
[assets]
main = "lectures"

[[assets.stores]]
name = "lectures"
bucket = "lectures-eu"
"""


@pytest.mark.parametrize("region", ["eu-central", "eu-north"])
def test_all_regions_of_a_zone_keep_lectures_in_the_bucket_where_they_are_made(tmp_path: Path, region: str) -> None:
    assert _loaded(tmp_path, BUCKET).assets.main_store.bucket == "lectures-eu"
    text = TOML.replace('[databases]\nregion = "eu-central"', f'[databases]\nregion = "{region}"')
    main = _loaded(tmp_path, BUCKET + 'region = "eu-central"\nzone = "eu"\n' + text).assets.main_store
    assert (main.name, main.region) == ("lectures", "eu-central")


@pytest.mark.parametrize("region", ["eu-central", "eu-north"])
def test_several_regions_take_uploads_into_a_bucket_and_lectures_are_made_where_it_is(
    tmp_path: Path, region: str
) -> None:
    text = TOML.replace('roles = ["web", "analytics"]\n', "", 1)
    text = text.replace('[databases]\nregion = "eu-central"', f'[databases]\nregion = "{region}"')
    here = made_here(_loaded(tmp_path, BUCKET + 'region = "eu-central"\nzone = "eu"\n' + text), lambda _tenant: "eu")
    assert [one.name for one in here.able("eu", "media")] == ["eu-central", "eu-north"]
    assert (here.does("media"), here.does_jobs("media"), here.does_jobs("analytics")) == (
        True,
        region == "eu-central",
        True,
    )
    part: dict[str, Any] = {
        "type": "http",
        "method": "PATCH",
        "path": "/api/video/upload/v1",
        "headers": [],
        "client": None,
    }
    for other in ("eu-central", "eu-north"):
        begun = Request({**part, "query_string": f"region={other}".encode(), "server": ("tool", 80), "scheme": "http"})
        check_region(here, begun, "t")
    with pytest.raises(WrongRegion):
        check_region(Here(here.settings, "eu-central", here.zone_of), begun, "t")
    anywhere = made_here(_loaded(tmp_path, BUCKET + 'zone = "eu"\n' + text), lambda _tenant: "eu")
    assert anywhere.does_jobs("media"), "a bucket that stands in no region is as near to each"
    with pytest.raises(ConfigurationError, match="or keep the zone's lectures in a bucket"):
        _loaded(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BUCKET.replace('main = "lectures"', 'main = "lecture"'), "is called lecture; assets.stores declares lectures"),
        (BUCKET.replace("bucket =", "directory ="), "lectures is a directory; name a bucket, or leave it out"),
        (BUCKET + 'zone = "eu"', "of zone eu, and lectures of zone default would"),
        (BUCKET + 'region = "eu"\n[databases]\nregion = "us"', "in region eu, and lectures of its zone are made in us"),
        (BUCKET + 'zone = "us"\n' + TOML, "of zone us, and lectures of zone eu would"),
        (BUCKET + 'region = "eu-north"\nzone = "eu"\n' + TOML, "of its zone are made in eu-central; name a bucket"),
    ],
)
def test_a_bucket_that_cannot_hold_the_lectures_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=r"setting assets\.main: .*" + said):
        _loaded(tmp_path, text)
