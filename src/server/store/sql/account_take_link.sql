DELETE FROM links WHERE token_digest = ?1 AND purpose = ?2 AND expires_at > ?3
RETURNING user_id, creator_id
