INSERT INTO users (name, email_address, password_digest, role, created_at)
VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (email_address) DO NOTHING RETURNING id
