INSERT OR REPLACE INTO links
    (token_digest, purpose, user_id, creator_id, expires_at, created_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
