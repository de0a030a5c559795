-- Which network speaks on which topic, and where in the messages of one that nobody knows is what.
-- depends: 0023.health

alter table intake_source drop constraint intake_source_kind_check;
alter table intake_source add constraint intake_source_kind_check check (kind in
    ('chirpstack_v4', 'chirpstack_v3', 'the_things_stack_v3', 'helium', 'actility', 'aws_iot_lorawan', 'sigfox',
     'soracom', 'mimamori_v1', 'mapped'));
alter table intake_source add unique (intake_source_id, municipality_id);

create table mqtt_source (
    mqtt_source_id  integer generated always as identity primary key,
    municipality_id integer not null references municipality,
    name            text not null check (name ~ '^[a-z0-9][a-z0-9-]{0,39}$'),
    topic_filter    text not null check (length(topic_filter) between 1 and 200),
    kind            text not null check (kind in
        ('chirpstack_v4', 'chirpstack_v3', 'the_things_stack_v3', 'helium', 'actility', 'aws_iot_lorawan', 'soracom',
         'mimamori_v1', 'mapped')),
    created_at      timestamptz not null,
    user_id         integer references app_user,
    ended_at        timestamptz,
    last_message_at timestamptz,
    refused_at      timestamptz,
    unique (mqtt_source_id, municipality_id)
);
comment on table mqtt_source is 'topics that a network leaves to its user; one that has ended stays: the messages that it brought are opened by it';
comment on column mqtt_source.created_at is 'town time, like all times here';
comment on column mqtt_source.user_id is 'null: somebody with the command line';
comment on column mqtt_source.last_message_at is 'moves about once a minute';
comment on column mqtt_source.refused_at is 'since when the broker does not let ingest subscribe; null: it does, or has not been asked yet';
create unique index mqtt_source_in_use on mqtt_source (municipality_id, name) where ended_at is null;

create table source_map (
    source_map_id    integer generated always as identity primary key,
    municipality_id  integer not null references municipality,
    intake_source_id integer,
    mqtt_source_id   integer,
    since            timestamptz not null,
    map              jsonb not null check (jsonb_typeof(map) = 'object' and length(map::text) <= 40000),
    saved_at         timestamptz not null,
    user_id          integer references app_user,
    check (num_nonnulls(intake_source_id, mqtt_source_id) = 1),
    foreign key (intake_source_id, municipality_id) references intake_source (intake_source_id, municipality_id),
    foreign key (mqtt_source_id, municipality_id) references mqtt_source (mqtt_source_id, municipality_id)
);
comment on table source_map is 'append-only: where in the messages of a source is what (devices.envelopes.message_map)';
comment on column source_map.since is 'town time: it is for the messages received from then on; of two that begin together the later one mends the other';
create index source_map_of_intake on source_map (intake_source_id) where intake_source_id is not null;
create index source_map_of_mqtt on source_map (mqtt_source_id) where mqtt_source_id is not null;

do $$
declare
    t text;
begin
    foreach t in array array['mqtt_source', 'source_map'] loop
        execute format('alter table %I enable row level security', t);
        execute format('create policy worker on %I to mimamori_worker using (true) with check (true)', t);
        execute format('create policy tenant on %I to mimamori_api
                        using (municipality_id = current_municipality())
                        with check (municipality_id = current_municipality())', t);
        execute format('grant select, insert on %I to mimamori_api', t);
        execute format('grant select on %I to mimamori_worker', t);
    end loop;
end $$;
grant update (ended_at) on mqtt_source to mimamori_api;
grant update (last_message_at, refused_at) on mqtt_source to mimamori_worker;

-- Sources are made on a page too. The API may write a secret's hash, and never read one.
create policy tenant on intake_source to mimamori_api
    using (municipality_id = current_municipality()) with check (municipality_id = current_municipality());
grant select (intake_source_id, municipality_id, name, kind, per_minute, created_at, revoked_at, last_message_at)
    on intake_source to mimamori_api;
grant insert (municipality_id, name, kind, secret_hash, per_minute, created_at) on intake_source to mimamori_api;
grant update (revoked_at) on intake_source to mimamori_api;
grant usage on all sequences in schema public to mimamori_worker, mimamori_api;

create trigger directory after insert or delete or update of ended_at on mqtt_source
    for each row execute function directory_changed();
create trigger directory after insert or delete on source_map
    for each row execute function directory_changed();
