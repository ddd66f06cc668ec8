SELECT id, name, role, password_digest FROM users
WHERE email_address = ?1 AND active = 1 AND role <> 'bot'
