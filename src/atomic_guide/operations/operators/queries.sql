-- name: begin_session
-- purpose: Begin the session of an operator.
INSERT INTO operator_sessions (digest, operator, source, proof, begun_at, seen_at, ends_at)
VALUES (:digest, :operator, :source, :proof, :now, :now, :ends_at)

-- name: find_session
-- purpose: The session of a cookie, with who it is of as they are now; without an id where they were removed.
SELECT s.operator, s.proof, s.begun_at, s.seen_at, s.ends_at, p.id, p.name, p.role FROM operator_sessions AS s
LEFT JOIN operator_people AS p ON p.id = s.operator AND p.removed_at IS NULL
WHERE s.digest = :digest

-- name: list_sessions
-- purpose: Sessions that are not over, those used last first.
SELECT s.digest, s.operator, s.proof, s.begun_at, s.seen_at, s.ends_at, p.id, p.name, p.role FROM operator_sessions AS s
LEFT JOIN operator_people AS p ON p.id = s.operator AND p.removed_at IS NULL
WHERE s.ends_at > :now ORDER BY s.seen_at DESC, s.digest LIMIT :limit

-- name: see_session
-- purpose: Note that a session is in use.
UPDATE operator_sessions SET seen_at = :now WHERE digest = :digest AND seen_at < :now

-- name: end_session
-- purpose: End a session.
DELETE FROM operator_sessions WHERE digest = :digest

-- name: end_sessions_of
-- purpose: End all sessions of somebody.
DELETE FROM operator_sessions WHERE operator = :operator

-- name: keep_sessions
-- purpose: End the sessions that were used least recently, where there are too many.
DELETE FROM operator_sessions WHERE digest IN (
  SELECT digest FROM operator_sessions ORDER BY seen_at DESC, begun_at DESC, digest LIMIT 1000000 OFFSET :most)

-- name: count_sessions
-- purpose: How many sessions there are.
SELECT count(*) AS sessions FROM operator_sessions

-- name: prune_sessions
-- purpose: Forget sessions that are over, and those that nobody used for too long.
DELETE FROM operator_sessions WHERE ends_at <= :now OR seen_at <= :idle

-- name: note_act
-- purpose: Write down an act of an operator.
INSERT INTO operator_audit (at, operator, who, role, source, method, action, objects, why, status)
VALUES (:at, :operator, :who, :role, :source, :method, :action, :objects, :why, :status)
RETURNING number

-- name: finish_act
-- purpose: Write down how an act was answered.
UPDATE operator_audit SET objects = :objects, why = :why, status = :status WHERE number = :number

-- name: list_acts
-- purpose: Acts, the newest first; those of somebody, and those whose action is named like this.
SELECT number, at, operator, who, role, source, method, action, objects, why, status FROM operator_audit
WHERE number < :before AND (:who = '' OR lower(who) = :who OR operator = :who)
AND (:what = '%%' OR lower(action) LIKE :what ESCAPE '\')
ORDER BY number DESC LIMIT :limit

-- name: prune_acts
-- purpose: Forget acts of long ago, and the oldest where there are too many.
DELETE FROM operator_audit
WHERE at < :before OR number <= (SELECT coalesce(max(number), 0) FROM operator_audit) - :most

-- name: list_people
-- purpose: Everybody, by name; those who were removed where it is asked.
SELECT id, issuer, subject, email, name, role, source, added_by, added_at, signed_in_at, removed_at FROM operator_people
WHERE removed_at IS NULL OR :removed = 1 ORDER BY lower(name), id LIMIT :limit

-- name: find_person
-- purpose: Somebody by id, by what the provider calls them, or by address.
SELECT id, issuer, subject, email, name, role, source, added_by, added_at, signed_in_at, removed_at FROM operator_people
WHERE :id <> '' AND id = :id OR :subject <> '' AND subject = :subject AND issuer = :issuer
OR :email <> '' AND email = :email
ORDER BY removed_at IS NOT NULL, signed_in_at IS NULL, id LIMIT 1

-- name: find_arrived
-- purpose: Who somebody is that signed in: known to us, or listed by an address that nobody has signed in with yet.
SELECT id, role, source, removed_at FROM operator_people
WHERE subject = :subject AND issuer = :issuer OR :email <> '' AND email = :email AND subject = ''
ORDER BY subject = '' LIMIT 1

-- name: add_person
-- purpose: List somebody new.
INSERT INTO operator_people (id, issuer, subject, email, name, role, source, added_by, added_at)
VALUES (:id, :issuer, :subject, :email, :name, :role, :source, :by, :now)

-- name: list_person
-- purpose: List somebody who is known, also who was removed.
UPDATE operator_people SET role = :role, source = :source, removed_at = NULL,
name = CASE WHEN :name = '' THEN name ELSE :name END WHERE id = :id

-- name: let_in
-- purpose: Note who signed in, and what they may.
INSERT INTO operator_people (id, issuer, subject, email, name, role, source, added_by, added_at, signed_in_at)
VALUES (:id, :issuer, :subject, :email, :name, :role, :source, '', :now, :now)
ON CONFLICT (id) DO UPDATE SET issuer = excluded.issuer, subject = excluded.subject, email = excluded.email,
name = excluded.name, role = excluded.role, source = excluded.source, signed_in_at = excluded.signed_in_at

-- name: set_role
-- purpose: Give somebody a role that no claim changes.
UPDATE operator_people SET role = :role, source = 'listed' WHERE id = :id

-- name: remove_person
-- purpose: Let somebody in no more.
UPDATE operator_people SET removed_at = :now WHERE id = :id AND removed_at IS NULL

-- name: lock_agreed
-- purpose: Until the end of the transaction nobody else agrees to anything: of two at once, the second counts the first.
-- dialect: postgresql
LOCK TABLE operator_approvals IN SHARE ROW EXCLUSIVE MODE

-- name: lock_agreed
-- purpose: A transaction that writes is alone in its file.
-- dialect: sqlite
SELECT 1

-- name: agree
-- purpose: Note that somebody agrees: anew, where that was too long ago to count.
INSERT INTO operator_approvals (subject, operator, who, at) VALUES (:subject, :operator, :who, :now)
ON CONFLICT (subject, operator) DO UPDATE SET at = excluded.at, who = excluded.who
WHERE operator_approvals.at < :since

-- name: count_agreed
-- purpose: How many agree.
SELECT count(*) AS agreed FROM operator_approvals WHERE subject = :subject AND at >= :since

-- name: list_agreed
-- purpose: Who agrees to what, the first first.
SELECT subject, who, at FROM operator_approvals WHERE subject LIKE :start ORDER BY at, operator LIMIT :most

-- name: forget_agreed
-- purpose: Have nobody agree to something.
DELETE FROM operator_approvals WHERE subject = :subject

-- name: prune_agreed
-- purpose: Forget agreements that count no more.
DELETE FROM operator_approvals WHERE at < :before

-- name: begin_login
-- purpose: Begin a sign-in at the provider.
INSERT INTO operator_logins (state, binding, nonce, verifier, expires_at)
VALUES (:state, :binding, :nonce, :verifier, :expires_at)

-- name: keep_logins
-- purpose: Forget the oldest sign-ins, where too many are under way.
DELETE FROM operator_logins WHERE state IN (
  SELECT state FROM operator_logins ORDER BY expires_at DESC, state LIMIT 1000000 OFFSET :most)

-- name: use_login
-- purpose: Use a sign-in up, once.
DELETE FROM operator_logins WHERE state = :state AND binding = :binding RETURNING nonce, verifier, expires_at

-- name: count_logins
-- purpose: How many sign-ins are under way.
SELECT count(*) AS logins FROM operator_logins

-- name: prune_logins
-- purpose: Forget sign-ins that nobody came back from.
DELETE FROM operator_logins WHERE expires_at <= :now
