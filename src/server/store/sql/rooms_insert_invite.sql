INSERT INTO invites (code, creator_id, max_uses, expires_at, created_at)
VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id
