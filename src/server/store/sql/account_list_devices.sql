SELECT id, user_agent, ip_address, last_active_at, created_at FROM sessions
WHERE user_id = ?1 AND expires_at > ?2
ORDER BY id = ?3 DESC, last_active_at DESC, id DESC LIMIT 100
