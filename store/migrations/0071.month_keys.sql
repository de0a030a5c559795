-- A past month may be typed without a network and sent later: what is sent twice is entered once.
-- depends: 0070.issued

alter table month_entry add column client_key uuid;
comment on column month_entry.client_key is 'made by the form: a repetition of what was sent has the same; null where it came by another way';
create index month_entry_sent on month_entry (municipality_id, client_key) where client_key is not null;
