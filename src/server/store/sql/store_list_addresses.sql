SELECT DISTINCT s.ip_address, s.user_id = ?1 FROM sessions s
JOIN users u ON u.id = s.user_id AND u.active = 1 OR s.user_id = ?1
