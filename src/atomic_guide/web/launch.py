'''The way in from an LMS: login initiation, launch, proof of the browser, the course page.

A launch is let in only in the browser that began its login. Three proofs are tried, in this order:

1. A partitioned cookie that `/lti/init` set. It comes back with `POST /lti/launch`; nothing else happens.
2. The platform's own storage (`lti_storage_target`): a page of `/lti/init` puts the secret there before it goes
   on to the platform, a page of `/lti/launch` gets it back and posts it to `/lti/launch/continue`.
3. A new window: it starts the login again at `/lti/init` as a top-level page, where a first-party cookie is
   kept; the platform then launches again in that window.

Pages 2 and 3 carry `<meta name="atomic-guide-binding" content='JSON'>` for `frontend/src/binding.ts`, and all
they need without it as plain HTML. JSON of the page after `/lti/init` (only with a storage target):

    {"step": "store",
     "target": "_parent",                     lti_storage_target: "_parent", or the name of a frame of the parent
     "origin": "https://lms.example.edu",     the only origin to post to and to believe
     "key": "atomic-guide-1f0c...",           for lti.put_data
     "value": "43 URL-safe characters",       the secret, for lti.put_data
     "next": "https://lms.example.edu/auth?..."}   where to go then (location.replace), stored or not

The script posts `{"subject": "lti.put_data", "message_id", "key", "value"}` to the target window with `origin`
as target origin, waits at most 1.5 s for `lti.put_data.response` from that origin, then goes to `next`. Without
script the page shows a link to `next` (`a#next`).

JSON of the page after a `/lti/launch` without the cookie:

    {"step": "prove",
     "target": "_parent" | null,              null: the platform has no storage, offer the window at once
     "origin": "https://lms.example.edu",
     "key": "atomic-guide-1f0c...",           for lti.get_data
     "field": "binding"}                      the hidden input of form#proof that takes the value

The script posts `{"subject": "lti.get_data", "message_id", "key"}`, and when `lti.get_data.response` from
`origin` brings a string `value`, fills the input and submits `form#proof` (POST /lti/launch/continue with state,
id_token, binding). When nothing came within 1.5 s, it hides `#waiting` and shows `#window`, which holds
`a#continue` (target=_blank, to /lti/init). Without script `#window` is visible and `#waiting` is hidden: the
script swaps them first, only where `target` is not null.
'''
