-- Who may bring messages by HTTP: one source for each webhook, with a secret of its own.
-- depends: 0010.digital

create table intake_source (
    intake_source_id integer generated always as identity primary key,
    municipality_id  integer not null references municipality,
    name             text not null check (name ~ '^[a-z0-9][a-z0-9-]{0,39}$'),
    kind             text not null check (kind in
        ('chirpstack_v4', 'the_things_stack_v3', 'sigfox', 'soracom', 'mimamori_v1')),
    secret_hash      bytea not null check (octet_length(secret_hash) = 32),
    per_minute       integer not null check (per_minute > 0),
    created_at       timestamptz not null,
    revoked_at       timestamptz,
    last_message_at  timestamptz
);
comment on table intake_source is 'a revoked source stays: messages name it in their topic; its name may be given again';
comment on column intake_source.secret_hash is 'SHA-256 of 32 random bytes in base64: nobody guesses them, so a slow hash would protect nothing';
comment on column intake_source.created_at is 'real time, like revoked_at; last_message_at is town time, and moves about once a minute';
create unique index intake_source_in_use on intake_source (name) where revoked_at is null;

-- Only the intake, which has the worker's rights, looks a secret up; the API's own role sees nothing of this.
alter table intake_source enable row level security;
create policy worker on intake_source to mimamori_worker using (true) with check (true);
grant select, update (last_message_at) on intake_source to mimamori_worker;
