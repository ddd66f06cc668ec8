UPDATE users SET active = ?2, banned_at = ?3,
                 removing_messages = removing_messages AND ?3 IS NOT NULL
WHERE id = ?1 AND role <> 'bot'
