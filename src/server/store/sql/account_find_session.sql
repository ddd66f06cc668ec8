SELECT s.id, u.id, u.name, u.role, u.email_address, s.last_active_at, s.expires_at
FROM sessions s JOIN users u ON u.id = s.user_id
WHERE s.token_digest = ?1 AND s.expires_at > ?2 AND u.active = 1
