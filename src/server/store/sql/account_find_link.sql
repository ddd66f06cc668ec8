SELECT u.id, u.name FROM links l JOIN users u ON u.id = l.user_id AND u.active = 1
WHERE l.token_digest = ?1 AND l.purpose = ?2 AND l.expires_at > ?3
