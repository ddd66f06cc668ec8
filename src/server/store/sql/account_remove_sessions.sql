DELETE FROM sessions WHERE user_id = ?1 AND (?2 IS NULL OR id = ?2)
    AND (?3 IS NULL OR id <> ?3) RETURNING id, token_digest
