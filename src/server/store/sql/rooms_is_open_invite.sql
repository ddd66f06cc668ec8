SELECT 1 FROM invites WHERE code = ?1 AND revoked_at IS NULL
    AND (expires_at IS NULL OR expires_at > ?2)
    AND (max_uses IS NULL OR uses < max_uses)
