-- name: read_change
-- purpose: The number of the last change of a registration.
SELECT number FROM lti_changes WHERE id = 1

-- name: count_change
-- purpose: Tell every process that a registration has changed.
INSERT INTO lti_changes (id, number) VALUES (1, 1)
ON CONFLICT (id) DO UPDATE SET number = lti_changes.number + 1

-- name: read_platforms
-- purpose: Every registration.
SELECT id, issuer, client_id, name, auth_url, token_url, keyset_url, auth_audience, origins, active
FROM lti_platforms ORDER BY issuer, client_id

-- name: read_deployments
-- purpose: Every deployment with its tenant.
SELECT tenant, platform, deployment_id FROM lti_deployments ORDER BY platform, deployment_id

-- name: put_platform
-- purpose: Register a platform, or correct its registration.
INSERT INTO lti_platforms
(id, issuer, client_id, name, auth_url, token_url, keyset_url, auth_audience, origins, active, created_at)
VALUES
(:id, :issuer, :client_id, :name, :auth_url, :token_url, :keyset_url, :auth_audience, :origins, :active, :created_at)
ON CONFLICT (id) DO UPDATE SET
name = excluded.name, auth_url = excluded.auth_url, token_url = excluded.token_url, keyset_url = excluded.keyset_url,
auth_audience = excluded.auth_audience, origins = excluded.origins, active = excluded.active

-- name: put_deployment
-- purpose: Add a deployment of the tool at a platform.
INSERT INTO lti_deployments (tenant, platform, deployment_id, created_at)
VALUES (:tenant, :platform, :deployment_id, :created_at)
ON CONFLICT (tenant) DO NOTHING

-- name: drop_platform
-- purpose: Forget a registration.
DELETE FROM lti_platforms WHERE id = :id

-- name: drop_deployments
-- purpose: Forget every deployment at a platform.
DELETE FROM lti_deployments WHERE platform = :platform

-- name: drop_deployment
-- purpose: Forget one deployment at a platform.
DELETE FROM lti_deployments WHERE platform = :platform AND deployment_id = :deployment_id

-- name: add_login
-- purpose: Remember a login that has begun.
INSERT INTO lti_logins (state, nonce, binding, platform, request, expires_at)
VALUES (:state, :nonce, :binding, :platform, :request, :expires_at)
RETURNING number

-- name: count_logins
-- purpose: Logins that are remembered.
SELECT count(*) AS logins FROM lti_logins

-- name: drop_oldest_logins
-- purpose: Keep the newest logins only.
DELETE FROM lti_logins WHERE number <= :number

-- name: read_login
-- purpose: The login that a state belongs to.
SELECT nonce, binding, platform, request, expires_at, used_at FROM lti_logins WHERE state = :state

-- name: use_login
-- purpose: Use a login up, once.
UPDATE lti_logins SET used_at = :now
WHERE state = :state AND binding = :binding AND used_at IS NULL AND expires_at > :now
RETURNING number

-- name: find_nonce
-- purpose: Whether a nonce belongs to another login, and whether that one has been used.
SELECT used_at FROM lti_logins WHERE nonce = :nonce

-- name: drop_expired_logins
-- purpose: Forget logins that expired a while ago.
DELETE FROM lti_logins WHERE expires_at <= :before

-- name: add_invitation
-- purpose: Store the digest of an invitation to register.
INSERT INTO lti_invitations (digest, expires_at) VALUES (:digest, :expires_at)

-- name: find_invitation
-- purpose: Whether an invitation is still good.
SELECT digest FROM lti_invitations WHERE digest = :digest AND used_at IS NULL AND expires_at > :now

-- name: use_invitation
-- purpose: Use an invitation up, once.
UPDATE lti_invitations SET used_at = :now WHERE digest = :digest AND used_at IS NULL AND expires_at > :now
RETURNING digest

-- name: drop_expired_invitations
-- purpose: Forget invitations that can no longer be used.
DELETE FROM lti_invitations WHERE expires_at <= :now

-- name: read_signing_keys
-- purpose: Our private keys, the oldest first.
SELECT name, value, created_at FROM secrets WHERE name LIKE 'lti:%' ORDER BY created_at, name

-- name: add_signing_key
-- purpose: Store a private key.
INSERT INTO secrets (name, value, created_at) VALUES (:name, :value, :created_at)

-- name: drop_signing_keys
-- purpose: Forget private keys that have not signed for long.
DELETE FROM secrets WHERE name LIKE 'lti:%' AND created_at < :before

-- name: read_practice_key
-- purpose: The private key of the practice LMS.
SELECT value FROM secrets WHERE name = 'practice'

-- name: keep_practice_key
-- purpose: Store the practice LMS's private key, unless another process was quicker.
INSERT INTO secrets (name, value, created_at) VALUES ('practice', :value, :now)
ON CONFLICT (name) DO NOTHING
