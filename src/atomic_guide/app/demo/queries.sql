-- name: other_tenants
-- purpose: Whose courses are here beside those of one tenant.
SELECT DISTINCT c.tenant FROM courses AS c WHERE c.tenant <> :tenant AND {{readable c}} LIMIT 5

-- name: list_platforms
-- purpose: Which platforms are registered.
SELECT name, issuer FROM lti_platforms ORDER BY issuer LIMIT 100
