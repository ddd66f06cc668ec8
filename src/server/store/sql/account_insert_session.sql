INSERT INTO sessions
    (token_digest, user_id, user_agent, ip_address, last_active_at, expires_at, created_at)
SELECT ?1, id, ?3, ?4, ?5, ?6, ?5 FROM users WHERE id = ?2 AND active = 1
RETURNING id
