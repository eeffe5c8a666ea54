-- name: add_code
-- purpose: Store the digest of a one-time code; a request that is repeated asks for the code that is there.
INSERT INTO one_time_codes (kind, digest, payload, expires_at) VALUES (:kind, :digest, :payload, :expires_at)
ON CONFLICT DO NOTHING

-- name: use_code
-- purpose: Use a code once; a retry under the same idempotency key gets the same answer.
UPDATE one_time_codes SET used_by = :used_by
WHERE kind = :kind AND digest = :digest AND expires_at > :now AND (used_by IS NULL OR used_by = :used_by)
RETURNING payload

-- name: drop_expired_codes
-- purpose: Forget codes that can no longer be used.
DELETE FROM one_time_codes WHERE expires_at <= :now

-- name: add_secret
-- purpose: Store a signing key.
INSERT INTO secrets (name, value, created_at) VALUES (:name, :value, :created_at)

-- name: read_session_keys
-- purpose: Every key that may have signed a session token, the newest last.
SELECT name, value, created_at FROM secrets WHERE name LIKE 'session:%' ORDER BY created_at, name

-- name: drop_old_keys
-- purpose: Forget session keys whose tokens have all expired.
DELETE FROM secrets WHERE name LIKE 'session:%' AND created_at < :before

-- name: find_answer
-- purpose: What an earlier request with the same Idempotency-Key was answered; of a claim, its mark.
SELECT fingerprint, status, answer, expires_at FROM idempotency
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user AND call = :call AND key = :key

-- name: reserve_answer
-- purpose: Claim an Idempotency-Key before the work begins.
INSERT INTO idempotency (bucket, tenant, course, "user", call, key, fingerprint, status, answer, expires_at)
VALUES (:bucket, :tenant, :course, :user, :call, :key, :fingerprint, 0, :mark, :expires_at)
ON CONFLICT (bucket, tenant, course, "user", call, key) DO UPDATE
SET fingerprint = excluded.fingerprint, status = 0, answer = excluded.answer, expires_at = excluded.expires_at
WHERE idempotency.status <> 0 AND idempotency.expires_at <= :now OR idempotency.expires_at <= :before

-- name: take_over_answer
-- purpose: Go on with the same request whose process died; the claim keeps its mark.
UPDATE idempotency SET expires_at = :expires_at
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user AND call = :call AND key = :key
AND status = 0 AND expires_at <= :now AND fingerprint = :fingerprint

-- name: renew_answer
-- purpose: Hold a claimed Idempotency-Key while its work goes on.
UPDATE idempotency SET expires_at = :expires_at
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user AND call = :call AND key = :key AND status = 0

-- name: keep_answer
-- purpose: Keep the answer for repetitions of the request.
UPDATE idempotency SET fingerprint = :fingerprint, status = :status, answer = :answer, expires_at = :expires_at
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user AND call = :call AND key = :key

-- name: release_answer
-- purpose: Give up a claimed Idempotency-Key, so that a corrected request may use it.
DELETE FROM idempotency
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = :user AND call = :call AND key = :key AND status = 0

-- name: drop_old_answers
-- purpose: Forget answers whose day has passed, and claims that nobody took over for as long.
DELETE FROM idempotency
WHERE (status <> 0 AND expires_at <= :now OR expires_at <= :before) AND {{writable idempotency}}

-- name: find_operator_answer
-- purpose: What an earlier request with the same Idempotency-Key was answered; of a claim, its mark.
SELECT fingerprint, status, answer, expires_at FROM operator_answers
WHERE call = :call AND key = :key

-- name: reserve_operator_answer
-- purpose: Claim an Idempotency-Key before the work begins.
INSERT INTO operator_answers (call, key, fingerprint, status, answer, expires_at)
VALUES (:call, :key, :fingerprint, 0, :mark, :expires_at)
ON CONFLICT (call, key) DO UPDATE
SET fingerprint = excluded.fingerprint, status = 0, answer = excluded.answer, expires_at = excluded.expires_at
WHERE operator_answers.status <> 0 AND operator_answers.expires_at <= :now OR operator_answers.expires_at <= :before

-- name: take_over_operator_answer
-- purpose: Go on with the same request whose process died; the claim keeps its mark.
UPDATE operator_answers SET expires_at = :expires_at
WHERE call = :call AND key = :key
AND status = 0 AND expires_at <= :now AND fingerprint = :fingerprint

-- name: renew_operator_answer
-- purpose: Hold a claimed Idempotency-Key while its work goes on.
UPDATE operator_answers SET expires_at = :expires_at
WHERE call = :call AND key = :key AND status = 0

-- name: keep_operator_answer
-- purpose: Keep the answer for repetitions of the request.
UPDATE operator_answers SET fingerprint = :fingerprint, status = :status, answer = :answer, expires_at = :expires_at
WHERE call = :call AND key = :key

-- name: release_operator_answer
-- purpose: Give up a claimed Idempotency-Key, so that a corrected request may use it.
DELETE FROM operator_answers
WHERE call = :call AND key = :key AND status = 0

-- name: drop_old_operator_answers
-- purpose: Forget answers to operators whose day has passed, and claims that nobody took over for as long.
DELETE FROM operator_answers WHERE status <> 0 AND expires_at <= :now OR expires_at <= :before

-- name: find_course
-- purpose: A course's title and the way back to its LMS.
-- batch: yes
SELECT title, return_url FROM courses WHERE bucket = :bucket AND tenant = :tenant AND course = :course
