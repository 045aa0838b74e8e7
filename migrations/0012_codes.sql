-- Codes are ended with the terms that they were issued for, under the bank's lock.

create index authorization_codes_by_consent on authorization_codes (bank_id, consent_id) where redeemed_at is null;
