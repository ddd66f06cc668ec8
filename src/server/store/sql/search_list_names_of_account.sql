SELECT id, name, 0, 0 FROM users WHERE active = 1 AND ?1 > 0 AND ?2 = 0
ORDER BY lower(name), id LIMIT ?3
