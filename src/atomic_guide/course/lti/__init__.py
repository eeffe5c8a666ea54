"""LTI 1.3: an LMS opens the tool, and the tool calls the LMS.

`launch` lets people in, `logins` remembers logins that have begun, `registration` knows the platforms, `keysets`
holds their keys and `signing` ours, `dynamic` registers by itself, `roster`, `grades` and `deeplinks` are the
services, `outbound` is the only way out to the network, and `practice` plays an LMS for development.
"""
