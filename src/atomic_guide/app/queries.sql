-- name: words_of_people
-- purpose: Ids and names of some members of a tenant, to look for where they may not be.
SELECT DISTINCT "user", name FROM members WHERE tenant = :tenant LIMIT :limit

-- name: words_of_courses
-- purpose: Ids and titles of some courses of a tenant, likewise.
SELECT DISTINCT course, context, title FROM courses WHERE tenant = :tenant LIMIT :limit

-- name: tenants
-- purpose: Every tenant that is registered, or that has been given a zone.
SELECT tenant FROM lti_deployments UNION SELECT tenant FROM tenant_zones ORDER BY tenant
