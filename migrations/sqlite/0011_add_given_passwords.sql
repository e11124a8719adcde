-- Passwords that somebody else knows: whoever has one may do nothing but choose her own.
ALTER TABLE credential ADD COLUMN is_given INTEGER NOT NULL DEFAULT 0;
