SELECT name, (SELECT code FROM invites
    WHERE revoked_at IS NULL AND expires_at IS NULL AND max_uses IS NULL
    ORDER BY id LIMIT 1), room_creators, styles FROM accounts
