"""Slack's form of a message."""

from atomic_guide.operations.alerts.channels.posting import Poster
from atomic_guide.operations.alerts.channels.slack import SlackChannel
from tests.alert_notices import notice
from tests.webhooks import receiver


async def test_what_goes_to_slack_is_escaped_and_coloured() -> None:
    with receiver() as came:
        await SlackChannel("team", Poster(came.url, 5)).send(notice())
    sent = came.received[0].json
    assert sent["text"] == "[FIRING:2] Jobs &lt;Wait&gt; &amp; Wait"
    colours = [one["color"] for one in sent["attachments"]]
    assert colours == ["#a30200", "#daa038", "#2eb886"]
    assert sent["attachments"][2]["title"] == "Jobs &lt;Wait&gt; &amp; Wait: over"
    assert {"title": "queue", "value": "video", "short": True} in sent["attachments"][1]["fields"]
    assert sent["attachments"][0]["title_link"] == "https://x.test/book"
